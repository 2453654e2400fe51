package p2p

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/reach"
)

// line carries TCP connections to a target. Connections open when it is cut stay open, but nothing
// comes through them any longer; new connections are carried.
type line struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	dead  chan struct{} // closed for the connections since the last cut
	conns []net.Conn
	work  sync.WaitGroup
}

func newLine(t *testing.T, to ma.Multiaddr) *line {
	t.Helper()
	_, target, err := manet.DialArgs(to)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener, target: target, dead: make(chan struct{})}
	l.work.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			l.carry(near)
		}
	})
	t.Cleanup(l.close)
	return l
}

func (l *line) carry(near net.Conn) {
	far, err := net.Dial("tcp4", l.target)
	if err != nil {
		_ = near.Close()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, near, far)
	dead := l.dead
	l.work.Go(func() { forward(near, far, dead) })
	l.work.Go(func() { forward(far, near, dead) })
}

// forward copies until the end of a connection, which is not passed on once the line is dead.
func forward(from, to net.Conn, dead <-chan struct{}) {
	for b := make([]byte, 32<<10); ; {
		n, err := from.Read(b)
		select {
		case <-dead:
		default:
			if _, failed := to.Write(b[:n]); failed != nil || err != nil {
				_ = to.Close()
			}
		}
		if err != nil {
			return
		}
	}
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.dead)
	l.dead = make(chan struct{})
}

func (l *line) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.work.Wait()
}

// A direct path that dies without a word is abandoned, even if the serve function has nothing to
// say and only waits. A path that lives is kept, however long nothing is said.
func TestKeepLeavesAPathThatDied(t *testing.T) {
	t.Parallel()
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{Listen: loopback[:1]}})
	hub.HandleMembers(echoProtocol, echo)
	l := newLine(t, directTo(hub).Addrs[0])
	addr, err := manet.FromNetAddr(l.listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
	leaf := newHost(t, Config{})
	k := keepEcho(t, leaf, reach.Target{Peer: hub.ID(), Addrs: []ma.Multiaddr{addr}})
	k.next(t)
	living := newHost(t, Config{})
	other := keepEcho(t, living, directTo(hub))
	other.next(t)
	l.cut()
	select {
	case cause := <-k.causes:
		if !errors.Is(cause, reach.ErrStalled) {
			t.Errorf("serve's context ended with %v", cause)
		}
	case <-time.After(36 * time.Second):
		t.Fatal("a path that died is kept")
	}
	k.next(t)
	if len(other.causes)+len(other.streams) > 0 {
		t.Error("a path that lives was left")
	}
}
