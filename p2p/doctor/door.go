package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/doctor/doctorpb"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// doorCheck finds out who gets in through the NAT at a fresh port:
//
//	our second socket ──── speaks to ────► greeter    (and so opens the NAT, and learns its public port)
//	our second socket ◄─── tries ────────  knocker    (which that socket never spoke to)
//	our first socket  ──── asks ─────────► knocker
type doorCheck struct {
	site *site
	nat  *NAT
	ways []*way
	own  []netip.Addr
}

// run fills in the NAT's filtering and hairpin. If it cannot, it returns the reason.
func (d *doorCheck) run(ctx context.Context) error {
	knocker := d.knocker()
	if d.site.cfg.OwnLink && d.site.cfg.Running {
		return d.knockAtLink(ctx, knocker)
	}
	h, err := d.host()
	if err != nil {
		return fmt.Errorf("a second socket: %w", err)
	}
	defer h.Close()
	greeted := d.greet(ctx, h, knocker)
	for _, g := range greeted {
		defer g.Close()
	}
	if len(greeted) == 0 {
		return errors.New("no peer on the internet said how it sees a second socket")
	}
	d.hairpin(ctx)
	if knocker == nil {
		return errNoKnocker
	}
	return d.knock(ctx, knocker, greeted)
}

// host listens on the site's own port if that is free.
func (d *doorCheck) host() (host.Host, error) {
	if port := d.site.cfg.Port; port != 0 {
		if h, err := d.site.host(true, port); err == nil {
			d.nat.Port, d.nat.OwnPort = port, true
			return h, nil
		}
		d.site.dontKnow("filtering was examined on a port other than the site's own port %d, which is taken", port)
	}
	h, err := d.site.host(true, 0)
	if err != nil {
		return nil, err
	}
	for _, a := range h.Network().ListenAddresses() {
		if at, _, ok := endpointOf(a); ok {
			d.nat.Port = int(at.Port())
		}
	}
	return h, nil
}

// knocker picks the peer that is to knock.
func (d *doorCheck) knocker() *way {
	for _, w := range d.ways {
		if _, ok := observationOf(w); ok && w.speaks(KnockProtocol) {
			return w
		}
	}
	return nil
}

// greet speaks to one peer by UDP and by TCP from the second socket, preferably not the knocker.
func (d *doorCheck) greet(ctx context.Context, h host.Host, knocker *way) []*way {
	var greeted []*way
	for _, transport := range []string{transportQUIC, transportTCP} {
		candidates := slices.Clone(d.ways)
		slices.SortStableFunc(candidates, func(a, b *way) int {
			return boolToInt(sameAddress(a, knocker)) - boolToInt(sameAddress(b, knocker))
		})
		for _, w := range candidates {
			if _, ok := observationOf(w); !ok || w.address.Transport != transport {
				continue
			}
			_, again := d.site.checkAddress(ctx, h, w.address.Peer, w.address.Relay, w.RemoteMultiaddr())
			if again == nil {
				continue
			}
			if o, ok := observationOf(again); ok {
				greeted = append(greeted, again)
				if o.UDP {
					d.nat.SeenUDP = o.Observed.String()
				} else {
					d.nat.SeenTCP = o.Observed.String()
				}
				break
			}
			_ = again.Close()
		}
	}
	return greeted
}

// knock asks the knocker, and judges by what it met.
func (d *doorCheck) knock(ctx context.Context, knocker *way, greeted []*way) error {
	req := new(doctorpb.KnockRequest)
	from, _ := observationOf(knocker)
	fresh := map[bool]bool{true: true, false: true} // the knocker was not greeted, by UDP and TCP
	for _, g := range greeted {
		o, _ := observationOf(g)
		if o.Observed.Addr() != from.Observed.Addr() {
			return fmt.Errorf("this site has several public addresses: %s and %s", o.Observed.Addr(), from.Observed.Addr())
		}
		if o.UDP {
			req.UdpPort = uint32(o.Observed.Port())
		} else {
			req.TcpPort = uint32(o.Observed.Port())
		}
		fresh[o.UDP] = !sameAddress(g, knocker)
	}
	tcp, udp, err := askToKnock(ctx, knocker, req)
	if err != nil {
		return err
	}
	d.nat.UDPFilter, d.nat.TCPFilter = filterOf(udp, fresh[true]), filterOf(tcp, fresh[false])
	return nil
}

func askToKnock(ctx context.Context, knocker *way, req *doctorpb.KnockRequest) (tcp, udp Door, err error) {
	var answer doctorpb.KnockAnswer
	err = ask(ctx, knocker.OpenStream, KnockProtocol, askTimeout+knockTimeout, func(s network.MuxedStream) error {
		if err := delimited.Write(s, req); err != nil {
			return err
		}
		return readMessage(s, &answer)
	})
	if err != nil {
		return DoorUnknown, DoorUnknown, err
	}
	if answer.GetRefused() != "" {
		return DoorUnknown, DoorUnknown, fmt.Errorf("%s does not knock: %s", knocker.from, printable.Line(answer.GetRefused(), maxDetail))
	}
	return doorOf(answer.GetTcp()), doorOf(answer.GetUdp()), nil
}

// knockAtLink has the public addresses tried that the running link announces. The link speaks to
// its relays by TCP, so only UDP shows whether strangers get in.
func (d *doorCheck) knockAtLink(ctx context.Context, knocker *way) error {
	if knocker == nil {
		return errNoKnocker
	}
	from, _ := observationOf(knocker)
	req := new(doctorpb.KnockRequest)
	for _, a := range d.site.cfg.Addrs {
		at, udp, ok := endpointOf(a)
		if !ok || addr.IsCircuit(a) || at.Addr() != from.Observed.Addr() {
			continue
		}
		d.nat.Port, d.nat.OwnPort = cmp.Or(d.site.cfg.Port, int(at.Port())), true
		if udp {
			req.UdpPort, d.nat.SeenUDP = uint32(at.Port()), at.String()
		} else {
			req.TcpPort, d.nat.SeenTCP = uint32(at.Port()), at.String()
		}
	}
	if !d.nat.OwnPort {
		return fmt.Errorf("the link announces no address at %s, where others see it", from.Observed.Addr())
	}
	tcp, udp, err := askToKnock(ctx, knocker, req)
	if err != nil {
		return err
	}
	d.nat.UDPFilter, d.nat.TCPFilter = filterOf(udp, true), filterOf(tcp, false)
	return nil
}

var errNoKnocker = errors.New("no relay or link could be asked to knock")

func filterOf(door Door, fresh bool) Filtering {
	switch {
	case door == DoorOpen && fresh:
		return FilterOpen
	case door == DoorOpen:
		return FilterAddress
	case door == DoorRefused, door == DoorSilent:
		return FilterClosed
	}
	return FilterUnknown
}

// hairpin knocks at the second socket's public address from here.
func (d *doorCheck) hairpin(ctx context.Context) {
	at, err := netip.ParseAddrPort(d.nat.SeenUDP)
	if err != nil || slices.Contains(d.own, at.Addr()) {
		return // UDP does not get out, or there is no NAT that could turn it around
	}
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	switch knockUDP(ctx, at) {
	case DoorOpen:
		d.nat.Hairpin = Yes
	case DoorRefused, DoorSilent:
		d.nat.Hairpin = No
	}
}

func sameAddress(a, b *way) bool {
	if a == nil || b == nil {
		return false
	}
	x, ok := addressOf(a.RemoteMultiaddr())
	y, ok2 := addressOf(b.RemoteMultiaddr())
	return ok && ok2 && x == y
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
