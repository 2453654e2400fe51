package sim

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/node/apps"
	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/session"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// nodeSide is a SuperNode through all its lives.
type nodeSide struct {
	w       *simulation
	id      peer.ID
	disk    *disk
	objects *objects.Dir

	mu   sync.Mutex
	life *nodeLife // nil while it is down
	line *stream   // the node's end of the present session's stream
	up   chan struct{}
	away time.Time // until then it has no network
}

type nodeLife struct {
	*life
	node   *nodeSide
	store  *state.Store
	owned  owned
	office *messages.Office
	client *session.Client
	host   *apps.Host
}

func (n *nodeSide) now() *nodeLife {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

// await returns the node's life, after its next start if it is down.
func (n *nodeSide) await(ctx context.Context) (*nodeLife, error) {
	for ctx.Err() == nil {
		n.mu.Lock()
		one, up := n.life, n.up
		n.mu.Unlock()
		if one != nil && one.alive() == nil {
			return one, nil
		}
		if one != nil { // dead but not buried yet
			up = nil
		}
		select {
		case <-up:
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return nil, ctx.Err()
}

func (n *nodeSide) start() {
	w := n.w
	one := &nodeLife{life: newLife(n.disk), node: n}
	one.owned = owned{n.objects, one.life}
	var err error
	one.store, err = state.Open(one.ctx, n.disk.path(), one.owned)
	w.must(err)
	one.client = session.New(session.Config{
		Identities: one.store, Software: "sim", Name: "node", Slots: slots,
		Cancelled: func(run uint64) {
			if one.alive() == nil {
				w.ledger.cancelled(n.id, run)
			}
		},
	})
	one.office = messages.New(messages.Config{
		Store: one.store, Objects: one.owned, Link: one.client, Slots: slots, Policy: policy.Entities(nil),
		Fetch: func(ctx context.Context, want messages.Want) error {
			return w.fetchFromLink(ctx, one, want.RunID, want.IDs)
		},
	})
	one.host = apps.New(apps.Config{Office: one.office, Store: one.store})
	one.work.Go(func() { one.host.Run(one.ctx) })
	one.work.Go(one.collect)
	one.work.Go(one.keepSession)
	n.mu.Lock()
	n.life = one
	close(n.up)
	n.up = make(chan struct{})
	n.mu.Unlock()
}

// end buries a life that has crashed.
func (n *nodeSide) end() {
	one := n.now()
	one.crash()
	n.mu.Lock()
	n.life = nil
	n.mu.Unlock()
	one.stop()
	one.office.Close()
	one.life.end()
	n.w.must(one.store.Close())
}

// keepSession dials again and again, as p2p.Host.Keep does.
func (nl *nodeLife) keepSession() {
	w := nl.node.w
	for nl.ctx.Err() == nil {
		if handler := w.dial(nl); handler != nil {
			atNode, atLink := connect(w.dice, nl.node.id, w.link.id)
			atNode.beforeWrite = func([]byte) error { return nl.beforeFrame() }
			nl.node.setLine(atNode)
			served := make(chan struct{})
			go func() {
				defer close(served)
				handler(atLink)
			}()
			err := nl.client.Serve(nl.ctx, atNode, nl.office)
			var refused *session.RefusedError
			if errors.As(err, &refused) && refused.Final() {
				w.t.Errorf("the node was refused for good: %v", err)
			}
			_ = atNode.Reset()
			nl.node.setLine(nil)
			w.sessions.Go(func() { <-served })
		}
		sleep(nl.ctx, w.dice.upTo(2*time.Second))
	}
}

// unplug takes the node off the network for a while, without telling anybody.
func (n *nodeSide) unplug(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.away = time.Now().Add(d)
	if n.line != nil && d > 0 {
		n.line.blackhole(true, true)
	}
}

func (n *nodeSide) plugged() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.away.After(time.Now())
}

func (n *nodeSide) setLine(s *stream) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.line = s
}

func (n *nodeSide) present() *stream {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.line
}

// collect removes unused objects, as package node does.
func (nl *nodeLife) collect() {
	watch := nl.store.Bell().Watch(state.KeyGarbage())
	defer watch.Close()
	for {
		if nl.alive() == nil {
			nl.node.w.unlessOver(nl.life, "collect", nl.store.Collect(nl.ctx))
		}
		select {
		case <-watch.C:
		case <-nl.ctx.Done():
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
