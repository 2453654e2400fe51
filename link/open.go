package link

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/link/apps"
	"github.com/rhizome-fl/rhizome/link/backup"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/relay"
)

// openState opens everything that is on disk, and resumes what was incomplete.
func (l *Link) openState(ctx context.Context) (err error) {
	if l.dir, err = datadir.Open(l.cfg.DataDir, "link"); err != nil {
		return err
	}
	l.daemon.Opened(l.dir.Close)
	if err := backup.Sweep(l.dir.Path()); err != nil {
		return err
	}
	store, err := sqlite.Open(ctx, l.dir.Path("state.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	l.store, l.copy = store, store.Snapshot
	l.daemon.Opened(store.Close)
	if l.objects, err = objects.OpenDir(l.dir.Path("objects"), objects.DirOptions{}); err != nil {
		return err
	}
	l.office = messages.New(l.store, l.objects)
	if err := l.office.Resume(ctx); err != nil {
		return fmt.Errorf("resume incomplete messages: %w", err)
	}
	l.appio = apps.New(l.store, l.objects, l.office)
	l.vouched = relay.NewMembers(l.cfg.Federation, nil)
	l.members = membership.New(membership.Config{
		Store: l.store, Federation: l.cfg.Federation,
		Changed: l.vouched.Set, Joined: l.vouched.Add, Settle: l.vouched.Sync,
		Revoked:   l.cutOff,
		Connected: func(p peer.ID) bool { return len(l.host.Paths(p)) > 0 },
	})
	return l.members.Load(ctx)
}

// cutOff ends everything with a peer that is no longer a member.
func (l *Link) cutOff(p peer.ID) {
	l.nodes.Revoke(p)
	l.host.Disconnect(p)
}
