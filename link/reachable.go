package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// awaitAddresses waits, if the link has only just started, until there is something to put
// into a ticket: an address of its own, and a circuit if it has relays. If they do not come it
// makes do with what there is, but not with nothing.
func (l *Link) awaitAddresses(ctx context.Context) ([]ma.Multiaddr, error) {
	events, stop := l.host.Events()
	defer stop()
	limit := time.NewTimer(addressTimeout)
	defer limit.Stop()
	for !l.reachable() {
		select {
		case _, open := <-events:
			if !open {
				return nil, errors.New("the link is stopping")
			}
		case <-limit.C:
			if addresses := l.host.Addresses(); len(addresses) > 0 {
				return addresses, nil
			}
			return nil, l.unreachable()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return l.host.Addresses(), nil
}

// reachable reports whether nodes could come in by each kind of way that was configured.
func (l *Link) reachable() bool {
	addresses := l.host.Addresses()
	if len(l.cfg.Relays) == 0 {
		return len(addresses) > 0
	}
	return slices.ContainsFunc(addresses, addr.IsCircuit)
}

// unreachable explains why a ticket would be of no use.
func (l *Link) unreachable() error {
	why := "it listens nowhere and has no relay"
	for _, relay := range l.cfg.Relays {
		why = fmt.Sprintf("relay %s has given it no reservation", relay.ID)
		if failure := l.host.Ways(relay.ID).Failure; failure != nil {
			why += ": " + failure.Err.Error()
		}
	}
	return fmt.Errorf("nobody can reach this link now: %s", why)
}
