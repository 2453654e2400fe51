package sim

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/sessions"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// linkSide is the SuperLink through all its lives.
type linkSide struct {
	w       *simulation
	id      peer.ID
	disk    *disk
	objects *objects.Dir
	host    *linkHost

	*linkLife // nil while it is down; for the driver only
}

type linkLife struct {
	*life
	store  state.Store
	owned  owned
	server *sessions.Server
}

// start begins a life with what the previous one has left.
func (l *linkSide) start() {
	w := l.w
	one := &linkLife{life: newLife(l.disk)}
	store, err := sqlite.Open(one.ctx, l.disk.path(), sqlite.Options{})
	w.must(err)
	one.store, one.owned = store, owned{l.objects, one.life}
	one.server = sessions.New(sessions.Config{
		Host: l.host, Store: store, Objects: one.owned, Office: messages.New(store, one.owned), Federation: state.FederationDefault, Grace: grace,
		Fetch: func(ctx context.Context, from peer.ID, runID uint64, ids []string, shown func(string)) error {
			return w.fetchFromNode(ctx, one, from, runID, ids, shown)
		},
	})
	one.work.Go(func() {
		if err := one.server.Run(one.ctx); err != nil {
			w.t.Errorf("the session server ended: %v", err)
		}
	})
	one.work.Go(func() { one.keep(w) })
	l.linkLife = one
	w.setLink(one)
}

// end buries a life that has crashed.
func (l *linkSide) end() {
	l.crash()
	l.w.setLink(nil)
	l.linkLife.end()
	l.w.must(l.store.Close())
	l.linkLife = nil
}

// keep does what package link does besides its sessions: deadlines and the ends of runs.
func (ll *linkLife) keep(w *simulation) {
	watch := ll.store.Bell().Watch(state.KeyDeadline(), state.KeyRunEnds())
	defer watch.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-watch.C:
		case <-timer.C:
		case <-ll.ctx.Done():
			return
		}
		if ll.alive() != nil {
			return
		}
		ended, err := ll.store.FinishedRunsHoldingObjects(ll.ctx)
		w.unlessOver(ll.life, "list finished runs", err)
		for _, run := range ended {
			w.unlessOver(ll.life, "cancel a run", ll.server.CancelRun(ll.ctx, run, "the run is over"))
			w.unlessOver(ll.life, "release objects", ll.store.ReleaseObjects(ll.ctx, run, ll.owned.Remove))
		}
		next, err := ll.store.Expire(ll.ctx, time.Now())
		w.unlessOver(ll.life, "apply deadlines", err)
		if next.IsZero() {
			timer.Stop()
			continue
		}
		timer.Reset(time.Until(next))
	}
}
