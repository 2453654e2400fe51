package doctor

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// fakeRouter is a router that gives these answers to each packet.
func fakeRouter(t *testing.T, answers ...string) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for packet := make([]byte, maxMessage); ; {
			_, from, err := c.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}
			for _, answer := range answers {
				_, _ = c.WriteToUDPAddrPort([]byte(answer), from)
			}
		}
	}()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestSearchUPnP(t *testing.T) {
	const gateway = "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nSERVER: Box/1.0\r\n\r\n"
	const printer = "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:Printer:1\r\n\r\n"
	for name, k := range map[string]struct {
		answers []string
		want    Answer
		server  string
	}{
		"silence":            {nil, No, ""},
		"a gateway":          {[]string{gateway}, Yes, "Box/1.0"},
		"others before it":   {[]string{"garbage", printer, "HTTP/1.1 200 OK", gateway}, Yes, "Box/1.0"},
		"only others answer": {[]string{printer}, No, ""},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		got, server := searchUPnP(ctx, fakeRouter(t, k.answers...))
		cancel()
		if got != k.want || server != k.server {
			t.Errorf("%s: %q of %q, want %q of %q", name, got, server, k.want, k.server)
		}
	}
}

func TestAskPMP(t *testing.T) {
	for name, k := range map[string]struct {
		answer  string
		want    Answer
		outside string
	}{
		"silence":              {"", No, "invalid IP"},
		"an address":           {"\x00\x80\x00\x00\x00\x00\x00\x01\x0b\x00\x00\x07", Yes, "11.0.0.7"},
		"there, but not ready": {"\x00\x80\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00", Yes, "invalid IP"},
		"cut":                  {"\x00\x80\x00", No, "invalid IP"},
	} {
		var answers []string
		if k.answer != "" {
			answers = []string{k.answer}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		got, outside := askPMP(ctx, fakeRouter(t, answers...))
		cancel()
		if got != k.want || outside.String() != k.outside {
			t.Errorf("%s: %q at %s, want %q at %s", name, got, outside, k.want, k.outside)
		}
	}
}
