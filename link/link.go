package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/exec/launch"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/link/apps"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/sessions"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/gossip"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/relay"
)

var log = logging.Logger("link")

// Link is a SuperLink. Open makes one, Run serves until its context ends, Close gives
// everything back; its other methods may be called at any time in between.
type Link struct {
	cfg     Config
	started time.Time

	dir     *datadir.Dir
	store   state.Store
	copy    func(ctx context.Context, path string) (objectIDs []string, err error) // of the store
	objects *objects.Dir
	intake  *messages.Intake
	appio   *apps.Host

	members   *members
	vouched   *relay.Members
	host      *p2p.Host
	gossip    *gossip.Publisher
	fetcher   *objects.Fetcher
	nodes     *sessions.Server
	superExec *launch.Owned

	listener net.Listener // of HTTP
	handler  http.Handler
	control  http.Handler // the part of it that operators get through the overlay

	closers []func() error // in the order of opening
}

// Open takes the data directory and the ports, and continues what it finds there; nobody
// is served before Run. An error leaves nothing behind.
func Open(ctx context.Context, cfg Config) (_ *Link, err error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &Link{cfg: cfg, started: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if err := l.openState(ctx); err != nil {
		return nil, err
	}
	if err := l.openOverlay(); err != nil {
		return nil, err
	}
	if err := l.openHTTP(ctx); err != nil {
		return nil, err
	}
	l.superExec = l.newSuperExec()
	return l, nil
}

// opened notes how to give back what was just opened.
func (l *Link) opened(release func() error) { l.closers = append(l.closers, release) }

// Close gives back ports, files and the data directory. Run must have returned.
func (l *Link) Close() error {
	var errs []error
	for i := len(l.closers) - 1; i >= 0; i-- {
		errs = append(errs, l.closers[i]())
	}
	l.closers = nil
	return errors.Join(errs...)
}

// PeerID of the link.
func (l *Link) PeerID() peer.ID { return l.host.ID() }

// HTTPAddress is host:port of Flower's APIs.
func (l *Link) HTTPAddress() string { return l.listener.Addr().String() }

// Run serves until ctx ends, which is no error, or a part fails. When it returns, nothing
// of it runs any more.
//
// The SuperExec is stopped first, while everything else still answers, so that the ends of
// its apps are reported.
func (l *Link) Run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, serving := errgroup.WithContext(serving)
	part := func(name string, run func(context.Context) error) {
		group.Go(func() error {
			err := run(serving)
			if err == nil || serving.Err() != nil && errors.Is(err, context.Canceled) {
				return nil
			}
			return fmt.Errorf("%s: %w", name, err)
		})
	}
	p2p.ServeJoin(l.host, l.join)
	defer l.host.RemoveStreamHandler(p2p.JoinProtocol)
	part("sessions", l.nodes.Run)
	part("deadlines", func(ctx context.Context) error { return reap(ctx, l.store) })
	part("runs", l.newRunKeeper().run)
	part("retention", func(ctx context.Context) error { return retain(ctx, l.store, l.cfg.Keep) })
	part("spare objects", l.newSpareKeeper().run)
	part("membership", l.members.follow)
	part("HTTP", l.serveHTTP)
	part("control for operators", l.serveControl)
	part("status for observers", l.serveStatus)
	for _, info := range l.cfg.Relays {
		part("relay "+info.ID.String(), func(ctx context.Context) error { return l.vouch(ctx, info) })
	}
	group.Go(func() error {
		defer stop()
		starting, cancel := context.WithCancel(ctx)
		defer context.AfterFunc(serving, cancel)()
		defer cancel()
		l.superExec.Start(starting)
		<-starting.Done()
		return l.superExec.Stop(context.WithoutCancel(ctx), l.cfg.LeaveSuperExec)
	})
	return group.Wait()
}

// newRunKeeper connects the ends of runs with everything that holds something for them.
func (l *Link) newRunKeeper() *runKeeper {
	return &runKeeper{
		store:    l.store,
		announce: l.announce,
		remove:   l.objects.Remove,
		end: func(ctx context.Context, run state.Run) error {
			if err := l.nodes.CancelRun(ctx, run.ID, "the run is finished: "+string(run.PrimaryTask.SubStatus)); err != nil {
				return err
			}
			l.appio.RunEnded(run.ID, run.PrimaryTask.ID)
			return l.intake.DropRun(ctx, run.ID)
		},
	}
}

func (l *Link) newSpareKeeper() *spareKeeper {
	return &spareKeeper{store: l.store, size: l.objects.Size, remove: l.objects.Remove, free: l.dir.Free, keep: l.cfg.KeepSpare}
}
