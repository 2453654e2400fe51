package node

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/node/appconfig"
	"github.com/rhizome-fl/rhizome/node/apps"
	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/session"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// readSettings reads what the configuration names, before anything is created.
func (n *Node) readSettings() (err error) {
	if n.nodeConfig, err = appconfig.Parse(n.cfg.NodeConfig); err != nil {
		return err
	}
	if n.cfg.TrustedEntities != "" {
		if n.policy, err = policy.Load(n.cfg.TrustedEntities); err != nil {
			return err
		}
	}
	return n.checkJoin()
}

// openState opens everything that is on disk.
func (n *Node) openState(ctx context.Context) (err error) {
	if n.dir, err = datadir.Open(n.cfg.DataDir, "node"); err != nil {
		return err
	}
	n.daemon.Opened(n.dir.Close)
	if n.objects, err = objects.OpenDir(n.dir.Path("objects"), objects.DirOptions{}); err != nil {
		return err
	}
	if n.store, err = state.Open(ctx, n.dir.Path("state.db"), n.objects); err != nil {
		return err
	}
	n.daemon.Opened(n.store.Close)
	return nil
}

// openOverlay makes the host, and lets the link fetch the objects of answers.
func (n *Node) openOverlay(context.Context) (err error) {
	n.host, err = p2p.Open(n.dir, p2p.Config{
		Kind: p2p.Leaf, Gate: admission.GateFunc(n.admit), Overlay: n.cfg.Overlay, UserAgent: n.cfg.Software,
	})
	if err != nil {
		return err
	}
	n.daemon.Opened(n.host.Close)
	n.openExchange()
	return nil
}

// admit lets in only the link, and the nodes that it has named.
func (n *Node) admit(p peer.ID) admission.Standing {
	if p == n.target.Peer || n.swarm.board.Knows(p) {
		return admission.Member
	}
	return admission.Refused
}

// authorize lets the link fetch what its runs have here, lets other nodes fetch objects that go
// to many, and allows nothing else.
func (n *Node) authorize(ctx context.Context, p peer.ID, runID uint64, objectID string) error {
	if p != n.target.Peer && n.swarm.board.May(p, runID, objectID) {
		return nil
	}
	if p != n.target.Peer {
		return objects.ErrRefused
	}
	has, err := n.store.HasObject(ctx, runID, objectID)
	if err != nil {
		return err
	}
	if !has {
		return objects.ErrRefused
	}
	return nil
}

// openWork makes the parts through which messages go.
func (n *Node) openWork(context.Context) error {
	n.news = newNews(n)
	n.session = session.New(session.Config{
		Identities: n.store,
		Software:   n.cfg.Software, Name: n.cfg.Name, Location: n.cfg.Location,
		Slots: uint32(n.cfg.Slots), DeclineSwarm: n.swarm.declined, Swarm: n.swarm, Addrs: n.host.Addresses,
		Opened: n.cfg.OnConnected,
		Hint:   n.news.hint, Cancelled: n.news.ended,
	})
	n.office = messages.New(messages.Config{
		Store: n.store, Objects: n.objects, Link: n.session, Fetch: n.fetch, Shared: n.swarm.share,
		Slots: n.cfg.Slots, Policy: n.policy,
	})
	n.daemon.Opened(func() error { n.office.Close(); return nil })
	host := apps.Config{Office: n.office, Store: n.store, NodeConfig: n.nodeConfig}
	if n.cfg.ShareLogs {
		host.ShareLogs = n.session.ShareLogs
	}
	n.apps = apps.New(host)
	return nil
}
