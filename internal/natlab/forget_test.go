//go:build linux

package natlab

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestForgetLeavesBothSidesInTheDark(t *testing.T) {
	for _, kind := range []Kind{Cone, Symmetric, CGNAT} {
		l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "home", Kind: kind})
		client, server := connection(t, l, "home", "r", 9000)
		if !passes(client, server, patience) || !passes(server, client, patience) {
			t.Fatalf("%s: nothing gets through a new connection", kind)
		}
		for range 2 { // a router may restart more than once
			if err := l.Forget("home"); err != nil {
				t.Fatal(err)
			}
		}
		if passes(client, server, silence) || passes(server, client, silence) {
			t.Errorf("%s: a forgotten connection still carries something", kind)
		}
		// News of its end does not get through either.
		_ = client.(*net.TCPConn).SetLinger(0)
		_ = client.Close()
		_ = server.SetReadDeadline(time.Now().Add(silence))
		if _, err := io.Copy(io.Discard, server); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the other side learns of the end: %v", kind, err)
		}
		client, server = connection(t, l, "home", "r", 9001)
		if !passes(client, server, patience) || !passes(server, client, patience) {
			t.Errorf("%s: nothing gets through a connection made afterwards", kind)
		}
	}
}

// connection returns both ends of a TCP connection.
func connection(t *testing.T, l *Lab, from, to string, port int) (client, server net.Conn) {
	t.Helper()
	err := l.In(to, func() error {
		listener, err := net.ListenTCP("tcp4", endpointTCP("0.0.0.0", port))
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = listener.Close() })
		return l.In(from, func() error {
			if client, err = net.DialTimeout("tcp4", endpointTCP(l.Addr(to), port).String(), patience); err != nil {
				return err
			}
			_ = listener.SetDeadline(time.Now().Add(patience))
			server, err = listener.Accept()
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func endpointTCP(addr string, port int) *net.TCPAddr {
	return &net.TCPAddr{IP: net.ParseIP(addr), Port: port}
}

// passes tells whether a byte gets from one end of a connection to the other.
func passes(from, to net.Conn, wait time.Duration) bool {
	if _, err := from.Write([]byte("x")); err != nil {
		return false
	}
	_ = to.SetReadDeadline(time.Now().Add(wait))
	_, err := to.Read(make([]byte, 1))
	return err == nil
}
