package reach

import (
	"testing"
	"time"

	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
)

func TestRenewIn(t *testing.T) {
	for left, want := range map[time.Duration]time.Duration{
		time.Hour:        50 * time.Minute,
		2 * time.Minute:  time.Minute,
		time.Millisecond: time.Second,
		-time.Hour:       time.Second,
	} {
		got := renewIn(&circuit.Reservation{Expiration: time.Now().Add(left)})
		if (got - want).Abs() > time.Second {
			t.Errorf("%v left: renew in %v, want %v", left, got, want)
		}
	}
}
