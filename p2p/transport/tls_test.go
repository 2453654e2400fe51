package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"

	"github.com/rhizome-fl/rhizome/p2p/identity"
)

// uncounted returns a separate counter for each connection.
func uncounted(peer.ID) *atomic.Int64 { return new(atomic.Int64) }

// counted counts what is written to a connection, until it fails.
type counted struct {
	net.Conn
	mu     sync.Mutex
	writes int
	err    error
}

func (c *counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.writes++
	err := c.err
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// fail makes all writing fail.
func (c *counted) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *counted) since(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes - n
}

// securePair is a connection with coalescing at its near end and libp2p's own TLS at the far end.
func securePair(t *testing.T) (near, far sec.SecureConn, wire *counted) {
	t.Helper()
	us, them := newTestIdentity(t), newTestIdentity(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	type accepted struct {
		conn sec.SecureConn
		err  error
	}
	incoming := make(chan accepted, 1)
	go func() {
		plain, err := listener.Accept()
		if err != nil {
			incoming <- accepted{err: err}
			return
		}
		stock, err := libp2ptls.New(libp2ptls.ID, them.Key, nil)
		if err != nil {
			incoming <- accepted{err: err}
			return
		}
		conn, err := stock.SecureInbound(context.Background(), plain, peer.ID(""))
		incoming <- accepted{conn, err}
	}()
	plain, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	wire = &counted{Conn: plain}
	ours, err := NewTLS(uncounted)(libp2ptls.ID, us.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	near, err = ours.SecureOutbound(t.Context(), wire, them.ID)
	if err != nil {
		t.Fatal(err)
	}
	other := <-incoming
	if other.err != nil {
		t.Fatal(other.err)
	}
	if other.conn.RemotePeer() != us.ID || near.RemotePeer() != them.ID {
		t.Errorf("peers %s and %s see each other as %s and %s", us.ID, them.ID, other.conn.RemotePeer(), near.RemotePeer())
	}
	t.Cleanup(func() { _ = near.Close(); _ = other.conn.Close() })
	return near, other.conn, wire
}

func newTestIdentity(t *testing.T) identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAFrameIsWrittenInOnePiece(t *testing.T) {
	near, far, wire := securePair(t)
	const frame = 64<<10 + 12 // of yamux
	for _, test := range []struct{ size, writes int }{
		{12, 1}, {coalesceLeast, 1}, {coalesceLeast + 1, 1}, {frame, 1}, {10 * frame, 10}, // whole buffers
	} {
		sent := make([]byte, test.size)
		_, _ = rand.Read(sent)
		got := make(chan []byte, 1)
		go func() {
			b := make([]byte, test.size)
			_, _ = io.ReadFull(far, b)
			got <- b
		}()
		before := wire.since(0)
		if n, err := near.Write(sent); n != test.size || err != nil {
			t.Fatalf("Write of %d = %d, %v", test.size, n, err)
		}
		if writes := wire.since(before); writes > test.writes {
			t.Errorf("%d bytes were written in %d pieces, want at most %d", test.size, writes, test.writes)
		}
		if !bytes.Equal(<-got, sent) {
			t.Fatalf("%d bytes did not arrive as they were sent", test.size)
		}
	}
}

// What is counted is what has left, not what was only gathered.
func TestWhatLeavesIsCounted(t *testing.T) {
	near, far, wire := securePair(t)
	left := near.(*coalescedConn).below.left
	go func() { _, _ = io.Copy(io.Discard, far) }()
	before := left.Load()
	const size = 1 << 20
	if _, err := near.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	records := left.Load() - before
	if records < size || records > size+size/100 {
		t.Errorf("%d bytes were counted for %d and the headers of their records", records, size)
	}
	wire.fail(errors.New("the line is cut"))
	before = left.Load()
	if _, err := near.Write(make([]byte, size)); err == nil || left.Load() != before {
		t.Errorf("%d bytes were counted on a line that is cut (%v)", left.Load()-before, err)
	}
}

// Writers and the alert of Close meet without losing a word or waiting for ever.
func TestWritersTakeTurns(t *testing.T) {
	near, far, _ := securePair(t)
	const writers, each, size = 4, 20, 40 << 10
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for range each {
				if _, err := near.Write(bytes.Repeat([]byte{byte(i)}, size+i*1000)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	go func() { all.Wait(); _ = near.Close() }()
	got, err := io.ReadAll(far)
	if err != nil {
		t.Fatal(err)
	}
	for i := range writers {
		if n := bytes.Count(got, []byte{byte(i)}); n != each*(size+i*1000) {
			t.Errorf("writer %d: %d bytes came", i, n)
		}
	}
	// A write is whole.
	for rest := got; len(rest) > 0; {
		n := size + int(rest[0])*1000
		if n > len(rest) || !bytes.Equal(rest[:n], bytes.Repeat(rest[:1], n)) {
			t.Fatal("two writes are mixed")
		}
		rest = rest[n:]
	}
}

func TestBrokenConnectionStaysBroken(t *testing.T) {
	near, _, wire := securePair(t)
	errCut := errors.New("cut")
	wire.mu.Lock()
	wire.err = errCut
	wire.mu.Unlock()
	if n, err := near.Write(make([]byte, 100<<10)); n != 0 || !errors.Is(err, errCut) {
		t.Errorf("Write = %d, %v", n, err)
	}
	wire.mu.Lock()
	wire.err = nil
	wire.mu.Unlock()
	if _, err := near.Write([]byte("x")); !errors.Is(err, errCut) {
		t.Errorf("a write after a failed one = %v: only the peer would notice what went missing", err)
	}
}

func TestCloseEndsAWriteThatWaits(t *testing.T) {
	near, _, _ := securePair(t) // nobody reads
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := near.Write(make([]byte, 1<<20)); err != nil {
				ended <- err
				return
			}
		}
	}()
	_ = near.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) // it waits by then, or soon
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the deadline did not end the write")
	}
	_ = near.Close()
}
