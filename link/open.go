package link

import (
	"context"
	"fmt"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/link/apps"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/relay"
)

// openState opens everything that is on disk, and takes up what was incomplete.
func (l *Link) openState(ctx context.Context) (err error) {
	if l.dir, err = datadir.Open(l.cfg.DataDir, "link"); err != nil {
		return err
	}
	l.daemon.Opened(l.dir.Close)
	if err := sweepBackups(l.dir.Path()); err != nil {
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
	l.intake = messages.New(l.store, l.objects)
	if err := l.intake.Resume(ctx); err != nil {
		return fmt.Errorf("take up incomplete messages: %w", err)
	}
	l.appio = apps.New(l.store, l.objects, l.intake)
	l.members = newMembers(l.store)
	l.vouched = relay.NewMembers(l.cfg.Federation, nil)
	l.members.changed, l.members.joined = l.vouched.Set, l.vouched.Add
	return l.members.load(ctx)
}
