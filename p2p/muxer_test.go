package p2p

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
)

// A relay must not take in what a slow line carries in half a minute.
func TestRelayTakesLittleInAdvance(t *testing.T) {
	for role, want := range map[Role]uint32{Leaf: yamuxInitialWindow, Hub: yamuxInitialWindow, RelayHost: yamuxRelayWindow} {
		if got := newMuxer(role).direct.InitialStreamWindowSize; got != want {
			t.Errorf("role %v: a window of %d, want %d", role, got, want)
		}
	}
}

// A connection through a relay may stand still for as long as a slow line beyond it needs.
func TestCircuitsArePatient(t *testing.T) {
	for _, test := range []struct {
		addr net.Addr
		want time.Duration
	}{
		{&net.TCPAddr{}, newMuxer(Leaf).direct.ConnectionWriteTimeout},
		{&circuit.NetAddr{Relay: "relay", Remote: "peer"}, yamuxCircuitTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			stuck, other := net.Pipe() // nobody reads
			defer other.Close()
			c, err := newMuxer(Leaf).NewConn(located{stuck, test.addr}, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			began := time.Now()
			if _, err := c.OpenStream(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := c.AcceptStream(); err == nil {
				t.Fatal("a stream came from where nobody is")
			}
			// Half of it may have passed when the muxer set its deadline.
			if took := time.Since(began); took < test.want/2 || took > test.want+2*time.Second {
				t.Errorf("a connection to %v was given up after %v, want %v", test.addr, took, test.want)
			}
		})
	}
}

// located is a connection with a remote address.
type located struct {
	net.Conn
	remote net.Addr
}

func (l located) RemoteAddr() net.Addr { return l.remote }
