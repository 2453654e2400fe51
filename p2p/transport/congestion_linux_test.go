package transport

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/sys/unix"
)

// Both ends of a connection, as libp2p's TCP transport makes them, get the control that suits long
// lines, if this machine lets anybody have it, and a short queue.
func TestConnectionsAskForTheirCongestionControl(t *testing.T) {
	allowed, err := os.ReadFile("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
	if err != nil || !strings.Contains(string(allowed), congestion) {
		t.Skipf("this kernel allows %q (%v)", allowed, err)
	}
	listener, err := manet.Listen(ma.StringCast("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	us, them := newTestIdentity(t), newTestIdentity(t)
	ended := make(chan error, 1)
	go func() {
		in, err := listener.Accept()
		if err == nil {
			err = unix.SetsockoptString(fdOf(t, in), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
		}
		if err == nil {
			var server *TLS
			if server, err = NewTLS(uncounted)(libp2ptls.ID, them.Key, nil); err == nil {
				_, err = server.SecureInbound(t.Context(), in, peer.ID(""))
			}
		}
		if err == nil {
			checkCongestion(t, in)
		}
		ended <- err
	}()
	out, err := manet.Dial(listener.Multiaddr())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := unix.SetsockoptString(fdOf(t, out), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno"); err != nil {
		t.Fatal(err)
	}
	client, err := NewTLS(uncounted)(libp2ptls.ID, us.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.SecureOutbound(t.Context(), out, them.ID); err != nil {
		t.Fatal(err)
	}
	checkCongestion(t, out)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func fdOf(t *testing.T, c manet.Conn) (fd int) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Control(func(number uintptr) { fd = int(number) })
	}
	if err != nil {
		t.Error(err)
	}
	return fd
}

func checkCongestion(t *testing.T, c manet.Conn) {
	t.Helper()
	got, err := unix.GetsockoptString(fdOf(t, c), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	if err != nil || got != congestion {
		t.Errorf("congestion control %q, %v", got, err)
	}
	unsent, err := unix.GetsockoptInt(fdOf(t, c), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
	if err != nil || unsent != maxUnsent {
		t.Errorf("%d bytes may wait in the kernel, %v", unsent, err)
	}
}
