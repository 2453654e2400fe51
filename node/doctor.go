package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p/doctor"
)

// targets answers the doctor of this site: whom the node has to reach, and how fast its paths
// to them are.
func (n *Node) targets(w http.ResponseWriter, r *http.Request) {
	identity, err := n.store.Identity(r.Context())
	if err != nil {
		admin.WriteError(w, http.StatusServiceUnavailable, err)
		return
	}
	t, err := targetsOf(identity)
	if err != nil {
		admin.WriteError(w, http.StatusServiceUnavailable, err)
		return
	}
	t.Relays = doctor.RelayTexts(n.cfg.Relays)
	t.Paths = doctor.Measure(r.Context(), n.host, n.target.Peer)
	admin.WriteJSON(w, t)
}

// RecallTargets reads, from the data directory of a node that is not running, whom it has to
// reach. The error is ErrNoLink if it was never told.
func RecallTargets(ctx context.Context, dataDir string) (_ doctor.Targets, err error) {
	n := &Node{cfg: Config{DataDir: dataDir}}
	defer func() { err = errors.Join(err, n.Close()) }()
	if err := n.openState(ctx); err != nil {
		return doctor.Targets{}, err
	}
	identity, err := n.store.Identity(ctx)
	if err != nil {
		return doctor.Targets{}, err
	}
	return targetsOf(identity)
}

func targetsOf(identity state.Identity) (doctor.Targets, error) {
	if identity.Link == "" {
		return doctor.Targets{}, ErrNoLink
	}
	link, err := peer.Decode(identity.Link)
	if err != nil {
		return doctor.Targets{}, fmt.Errorf("the node's data names SuperLink %q: %w", identity.Link, err)
	}
	return doctor.Targets{Link: link, Addresses: identity.LinkAddrs, Federation: identity.Federation}, nil
}
