package transport

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
)

// A relay must not take in as much as a slow line carries in half a minute.
func TestRelayTakesLittleInAdvance(t *testing.T) {
	for relay, want := range map[bool]uint32{false: yamuxInitialWindow, true: yamuxRelayWindow} {
		if got := NewMuxer(relay).direct.InitialStreamWindowSize; got != want {
			t.Errorf("relay %v: a window of %d, want %d", relay, got, want)
		}
	}
}

// A connection through a relay may stand still for as long as a slow line beyond it needs.
func TestCircuitsArePatient(t *testing.T) {
	for _, test := range []struct {
		addr net.Addr
		want time.Duration
	}{
		{&net.TCPAddr{}, NewMuxer(false).direct.ConnectionWriteTimeout},
		{&circuit.NetAddr{Relay: "relay", Remote: "peer"}, yamuxCircuitTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			stuck, other := net.Pipe() // nobody reads
			defer other.Close()
			c, err := NewMuxer(false).NewConn(located{stuck, test.addr}, false, nil)
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
