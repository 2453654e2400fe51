package doctor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-netroute"

	"github.com/rhizome-fl/rhizome/internal/printable"
)

// These are the addresses at which routers are asked. Both are on the LAN.
var ssdpGroup = netip.MustParseAddrPort("239.255.255.250:1900")

const pmpPort = 5351

// gatewayKinds are the UPnP devices that forward ports.
var gatewayKinds = []string{
	"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
	"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
}

// routerFound is what the router offers.
type routerFound struct {
	upnp, pmp Answer
	name      string
	outside   netip.Addr // as NAT-PMP reports it
}

// askRouter looks for UPnP and NAT-PMP on the LAN. It changes nothing there.
func askRouter(ctx context.Context) routerFound {
	ctx, cancel := context.WithTimeout(ctx, routerTimeout)
	defer cancel()
	var found routerFound
	var both sync.WaitGroup
	both.Go(func() { found.upnp, found.name = searchUPnP(ctx, ssdpGroup) })
	both.Go(func() {
		routes, err := netroute.New()
		if err != nil {
			return
		}
		_, gateway, _, err := routes.Route(net.IPv4(1, 1, 1, 1)) // a look into the routing table; nothing is sent
		if addr, ok := netip.AddrFromSlice(gateway); err == nil && ok {
			found.pmp, found.outside = askPMP(ctx, netip.AddrPortFrom(addr.Unmap(), pmpPort))
		}
	})
	both.Wait()
	return found
}

// searchUPnP asks all devices that listen for this, and waits until one says that it is a gateway.
func searchUPnP(ctx context.Context, group netip.AddrPort) (Answer, string) {
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return Unknown, ""
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for _, kind := range gatewayKinds {
		search := "M-SEARCH * HTTP/1.1\r\nHOST: " + group.String() + "\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: " + kind + "\r\n\r\n"
		if _, err := c.WriteToUDPAddrPort([]byte(search), group); err != nil {
			return Unknown, "" // no route for multicast
		}
	}
	for packet := make([]byte, maxMessage); ; {
		n, _, err := c.ReadFromUDPAddrPort(packet)
		if err != nil {
			return No, ""
		}
		answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(packet[:n])), nil)
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if strings.Contains(answer.Header.Get("ST"), "InternetGatewayDevice") {
			return Yes, printable.Line(answer.Header.Get("SERVER"), maxDetail)
		}
	}
}

// pmpAnswer is version 0, operation 128 (the answer to "which is your outside address"),
// result, time, address (RFC 6886, 3.2).
const pmpAnswer = 12

func askPMP(ctx context.Context, gateway netip.AddrPort) (Answer, netip.Addr) {
	c, err := new(net.Dialer).DialContext(ctx, "udp4", gateway.String())
	if err != nil {
		return Unknown, netip.Addr{}
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var answer [pmpAnswer]byte
	for range knockTries {
		if ctx.Err() != nil {
			break
		}
		if _, err := c.Write([]byte{0, 0}); err != nil {
			return No, netip.Addr{}
		}
		_ = c.SetReadDeadline(time.Now().Add(routerTimeout / knockTries))
		n, err := c.Read(answer[:])
		var timeout net.Error
		switch {
		case err == nil && n == pmpAnswer && answer[1] == 128:
			if binary.BigEndian.Uint16(answer[2:]) != 0 {
				return Yes, netip.Addr{} // it is there, but has no outside address now
			}
			return Yes, netip.AddrFrom4([4]byte(answer[8:]))
		case errors.As(err, &timeout) && timeout.Timeout():
		case err != nil:
			return No, netip.Addr{} // the gateway says that nobody is listening there
		}
	}
	return No, netip.Addr{}
}
