package node

import (
	"context"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/exec/launch"
	"github.com/rhizome-fl/rhizome/internal/daemon"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/node/appconfig"
	"github.com/rhizome-fl/rhizome/node/apps"
	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/session"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

var log = logs.For("node")

// Node is a SuperNode. Open makes it, Run works until its context ends, Close releases
// everything; Status and AdminHandler may be used at any time in between.
type Node struct {
	cfg     Config
	started time.Time

	nodeConfig appconfig.Config
	policy     policy.Entities

	dir     *datadir.Dir
	objects *objects.Dir
	store   *state.Store
	target  reach.Target
	ticket  joinRequest
	host    *p2p.Host
	fetcher *objects.Fetcher
	swarm   *swarming
	office  *messages.Office
	session *session.Client
	apps    *apps.Host

	listener  net.Listener // of the Runtime API
	superExec *launch.Owned
	// execSecret signs every request for a task; empty: the user starts the SuperExec.
	execSecret []byte
	news       *news

	daemon daemon.Daemon
}

// Open takes the data directory and the ports, and continues from what it finds there; nothing
// is fetched or handed out before Run. If it fails, it leaves nothing behind.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, started: time.Now()}
	if err := n.readSettings(); err != nil {
		return nil, err
	}
	err := n.daemon.Open(ctx,
		daemon.Step{Name: "state", Open: n.openState},
		daemon.Step{Name: "SuperLink", Open: n.openTarget},
		daemon.Step{Name: "swarm", Open: n.openSwarm},
		daemon.Step{Name: "overlay", Open: n.openOverlay},
		daemon.Step{Name: "work", Open: n.openWork},
		daemon.Step{Name: "Runtime API", Open: n.openRuntime},
	)
	if err != nil {
		return nil, err
	}
	n.addParts()
	return n, nil
}

// Close releases ports, files and the data directory. Run must have returned.
func (n *Node) Close() error { return n.daemon.Close() }

// PeerID returns the peer id of the node.
func (n *Node) PeerID() peer.ID { return n.host.ID() }

// Link returns the peer id of the SuperLink to which the node belongs.
func (n *Node) Link() peer.ID { return n.target.Peer }

// RuntimeAddress returns the host:port of the Runtime API.
func (n *Node) RuntimeAddress() string { return n.listener.Addr().String() }

// Run works until ctx ends, which is not an error, or a part fails, such as the membership
// when it is revoked. When it returns, nothing of the node is running any more.
//
// A stop begins at the outer ends: the link is told, provided that nothing is owed to it, then
// the SuperExec and its apps are stopped while the Runtime API still answers. What they were
// working on is done again at the next start.
func (n *Node) Run(ctx context.Context) error { return n.daemon.Run(ctx) }

// addParts declares what Run runs.
func (n *Node) addParts() {
	part := n.daemon.Part
	part("overlay", n.runOverlay)
	part("Runtime API", n.serveRuntime)
	part("policy", func(ctx context.Context) error {
		return retry.Do(ctx, log, "decide about apps of before the start", func() error { return n.office.Review(ctx) })
	})
	part("tasks", func(ctx context.Context) error { n.apps.Run(ctx); return nil })
	part("objects", n.collect)
	n.daemon.Edge("SuperExec", func(ctx context.Context) error {
		n.superExec.Start(ctx)
		<-ctx.Done()
		return n.stopWork(context.WithoutCancel(ctx))
	})
}

// stopWork brings the node to rest, in the order that Run promises.
func (n *Node) stopWork(ctx context.Context) error {
	leaving, cancel := context.WithTimeout(ctx, leaveLimit)
	defer cancel()
	n.session.Leave(leaving, "the node was stopped")
	if !n.cfg.LeaveSuperExec {
		n.store.Stopping()
	}
	return n.superExec.Stop(ctx, n.cfg.LeaveSuperExec)
}

// collect removes objects that nothing needs any more.
func (n *Node) collect(ctx context.Context) error {
	watch := n.store.Bell().Watch(state.KeyGarbage())
	defer watch.Close()
	for {
		err := retry.Do(ctx, log, "remove unused objects", func() error { return n.store.Collect(ctx) })
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-watch.C:
		}
	}
}
