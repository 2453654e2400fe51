package tunnel_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/p2p/tunnel"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// start serves a tunnel and returns its address; the tunnel ends with the test.
func start(t *testing.T, dial tunnel.Dial) string {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tunnel.Serve(ctx, l, dial) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		goleak.VerifyNone(t, leaks)
	})
	return l.Addr().String()
}

func TestBothDirectionsAndTheirEnds(t *testing.T) {
	far := listen(t)
	defer far.Close()
	go func() {
		conn, err := far.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		asked, _ := io.ReadAll(conn) // ends only if the half-close of the client arrives
		_, _ = conn.Write(append([]byte("you said "), asked...))
	}()
	address := start(t, func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", far.Addr().String())
	})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != "you said hello" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestUnreachablePeerClosesTheConnection(t *testing.T) {
	address := start(t, func(context.Context) (net.Conn, error) { return nil, errors.New("no path") })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n, err := io.Copy(io.Discard, conn); n != 0 || err != nil {
		t.Fatalf("read %d bytes, %v; want a clean end", n, err)
	}
}

func TestStopEndsOpenConnections(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	dialled := make(chan struct{})
	address := start(t, func(context.Context) (net.Conn, error) { close(dialled); return ours, nil })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	<-dialled // the cleanup of start must not wait for this connection to end by itself
}
