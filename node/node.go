package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/exec/launch"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/internal/persist"
	"github.com/rhizome-fl/rhizome/node/appconfig"
	"github.com/rhizome-fl/rhizome/node/apps"
	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/session"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

var log = logging.Logger("node")

// Node is a SuperNode. Open makes one, Run works until its context ends, Close gives
// everything back; Status and AdminHandler may be used at any time in between.
type Node struct {
	cfg     Config
	started time.Time

	nodeConfig appconfig.Config
	trusted    policy.Entities

	dir     *datadir.Dir
	objects *objects.Dir
	store   *state.Store
	target  p2p.Target
	ticket  joinRequest
	host    *p2p.Host
	fetcher *objects.Fetcher
	swarm   *swarming
	intake  *messages.Intake
	session *session.Client
	appio   *apps.Host

	listener  net.Listener // of the Runtime API
	superExec *launch.Owned
	news      *news

	closers []func() error // in the order of opening
}

// Open takes the data directory and the ports, and continues what it finds there; nothing
// is fetched or given out before Run. An error leaves nothing behind.
func Open(ctx context.Context, cfg Config) (_ *Node, err error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, started: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	for _, open := range []func(context.Context) error{n.readSettings, n.openState, n.openTarget, n.openSwarm, n.openOverlay, n.openWork, n.openRuntime} {
		if err := open(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// opened notes how to give back what was just opened.
func (n *Node) opened(release func() error) { n.closers = append(n.closers, release) }

// Close gives back ports, files and the data directory. Run must have returned.
func (n *Node) Close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(errs...)
}

// PeerID of the node.
func (n *Node) PeerID() peer.ID { return n.host.ID() }

// Link is the peer id of the SuperLink that the node belongs to.
func (n *Node) Link() peer.ID { return n.target.Peer }

// RuntimeAddress is host:port of the Runtime API.
func (n *Node) RuntimeAddress() string { return n.listener.Addr().String() }

// Run works until ctx ends, which is no error, or a part fails, such as the membership
// when it is revoked. When it returns, nothing of it runs any more.
//
// A stop begins at the outer ends: the link is told if nothing is owed to it, then the
// SuperExec and its apps are stopped while the Runtime API still answers. What they were
// working on is done again at the next start.
func (n *Node) Run(ctx context.Context) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, working := errgroup.WithContext(working)
	part := func(name string, run func(context.Context) error) {
		group.Go(func() error {
			err := run(working)
			if err == nil || working.Err() != nil && errors.Is(err, context.Canceled) {
				return nil
			}
			return fmt.Errorf("%s: %w", name, err)
		})
	}
	part("overlay", n.runOverlay)
	part("Runtime API", n.serveRuntime)
	part("tasks", func(ctx context.Context) error { n.appio.Run(ctx); return nil })
	part("objects", n.collect)
	group.Go(func() error {
		defer stop()
		starting, cancel := context.WithCancel(ctx)
		defer context.AfterFunc(working, cancel)()
		defer cancel()
		n.superExec.Start(starting)
		<-starting.Done()
		return n.stopWork(context.WithoutCancel(ctx))
	})
	return group.Wait()
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
		err := persist.Do(ctx, log, "remove unused objects", func() error { return n.store.Collect(ctx) })
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
