package link

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/exec/launch"
	"github.com/rhizome-fl/rhizome/internal/daemon"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/link/apps"
	"github.com/rhizome-fl/rhizome/link/backup"
	"github.com/rhizome-fl/rhizome/link/keeping"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/link/sessions"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/gossip"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/relay"
)

var log = logs.For("link")

// Link is a SuperLink. Open makes one, Run serves until its context ends, Close gives
// everything back; its other methods may be called at any time in between.
type Link struct {
	cfg     Config
	started time.Time

	dir     *datadir.Dir
	store   state.Store
	copy    func(ctx context.Context, path string) (objectIDs []string, err error) // of the store
	objects *objects.Dir
	office  *messages.Office
	appio   *apps.Host

	members   *membership.Members
	tickets   *membership.Tickets
	vouched   *relay.Members
	host      *p2p.Host
	gossip    *gossip.Publisher
	fetcher   *objects.Fetcher
	nodes     *sessions.Server
	superExec *launch.Owned
	// secretFile holds the secret that the link made for its SuperExec; empty if it made none.
	secretFile string
	admin      *admin.Admin

	listener net.Listener // for HTTP
	handler  http.Handler
	control  http.Handler // what operators get through the overlay

	daemon daemon.Daemon
}

// Open takes the data directory and the ports, and continues what it finds there; nobody is
// served before Run. If it fails it leaves nothing behind.
func Open(ctx context.Context, cfg Config) (*Link, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &Link{cfg: cfg, started: time.Now()}
	err := l.daemon.Open(ctx,
		daemon.Step{Name: "state", Open: l.openState},
		daemon.Step{Name: "overlay", Open: l.openOverlay},
		daemon.Step{Name: "HTTP", Open: l.openHTTP},
	)
	if err != nil {
		return nil, err
	}
	l.superExec = l.newSuperExec()
	l.admin = l.newAdmin()
	l.addParts()
	return l, nil
}

// Close gives back ports, files and the data directory. Run must have returned.
func (l *Link) Close() error { return l.daemon.Close() }

// PeerID is the link's peer id.
func (l *Link) PeerID() peer.ID { return l.host.ID() }

// HTTPAddress is the host:port of Flower's APIs.
func (l *Link) HTTPAddress() string { return l.listener.Addr().String() }

// Addresses are the link's addresses with its peer id, best first.
func (l *Link) Addresses() []string { return l.admin.Addresses() }

// Status is the state of the link as it is now.
func (l *Link) Status(ctx context.Context) (admin.Status, error) { return l.admin.Status(ctx) }

// AdminHandler serves what commands ask of a running link. Whoever can reach it may do
// everything; serve it on the admin socket only.
func (l *Link) AdminHandler() http.Handler { return l.admin.Handler() }

// Members are the members of the federation.
func (l *Link) Members() *membership.Members { return l.members }

// Tickets are the link's tickets.
func (l *Link) Tickets() *membership.Tickets { return l.tickets }

// Run serves until ctx ends, which is not an error, or until a part fails. When it returns,
// nothing of the link is running any more.
func (l *Link) Run(ctx context.Context) error {
	defer join.Serve(l.host, l.members.LetsIn, l.members.Join).Close()
	return l.daemon.Run(ctx)
}

// addParts names the parts that run. The SuperExec is at the edge: it is stopped while
// everything else still answers, so that the ends of its apps are reported.
func (l *Link) addParts() {
	part := l.daemon.Part
	part("sessions", l.nodes.Run)
	part("deadlines", func(ctx context.Context) error { return keeping.Deadlines(ctx, l.store) })
	part("runs", l.newRunKeeper().Run)
	part("retention", func(ctx context.Context) error { return keeping.Retain(ctx, l.store, l.cfg.Keep) })
	part("spare objects", l.newSpareKeeper().Run)
	part("membership", l.members.Follow)
	part("HTTP", l.serveHTTP)
	part("control for operators", l.serveControl)
	part("status for observers", func(ctx context.Context) error {
		return daemon.ServeHTTP(ctx, l.host.ListenMembers(remote.StatusProtocol), l.admin.ObserverHandler())
	})
	for _, info := range l.cfg.Relays {
		part("relay "+info.ID.String(), func(ctx context.Context) error { return l.vouch(ctx, info) })
	}
	l.daemon.Edge("SuperExec", func(ctx context.Context) error {
		l.superExec.Start(ctx)
		<-ctx.Done()
		return l.superExec.Stop(context.WithoutCancel(ctx), l.cfg.LeaveSuperExec)
	})
}

// newRunKeeper connects the end of a run with everything that holds something for it.
func (l *Link) newRunKeeper() *keeping.Runs {
	return &keeping.Runs{
		Store:    l.store,
		Announce: l.announce,
		Remove:   l.objects.Remove,
		End: func(ctx context.Context, run state.Run) error {
			if err := l.nodes.CancelRun(ctx, run.ID, "the run is finished: "+string(run.PrimaryTask.SubStatus)); err != nil {
				return err
			}
			l.appio.RunEnded(run.ID, run.PrimaryTask.ID)
			return l.office.DropRun(ctx, run.ID)
		},
	}
}

func (l *Link) newSpareKeeper() *keeping.Spare {
	return &keeping.Spare{Store: l.store, Size: l.objects.Size, Remove: l.objects.Remove, Free: l.dir.Free, Keep: l.cfg.KeepSpare}
}

// newAdmin shows the administration everything that it reports on.
func (l *Link) newAdmin() *admin.Admin {
	return admin.New(admin.Config{
		Software: l.cfg.Software, Federation: l.cfg.Federation, Started: l.started,
		HTTPAddress: l.HTTPAddress(), TLS: l.cfg.CertFile != "", Relays: l.cfg.Relays,
		Store: l.store, Host: l.host, Sessions: l.nodes, Members: l.members, Tickets: l.tickets,
		SuperExec: l.superExec.Describe,
		Backup: backup.Source{
			PeerID: l.host.ID().String(), Software: l.cfg.Software, DataDir: l.dir.Path(),
			Snapshot: l.copy, Export: l.objects.Export,
		},
	})
}
