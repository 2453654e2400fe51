package admin

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/link/backup"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p"
)

// Store is what a status needs of [state.Store].
type Store interface {
	ListNodes(ctx context.Context) ([]state.Node, error)
	UnfinishedRuns(ctx context.Context) ([]state.Run, error)
	ListRuns(ctx context.Context, limit, skip uint64) ([]state.Run, error)
	UnansweredByNode(ctx context.Context, runID uint64) (map[uint64]int, error)
}

// Host is what a status needs of the overlay.
type Host interface {
	ID() peer.ID
	Addresses() []ma.Multiaddr
	// Measure has the round trips to peers measured, and Report tells how one is reached.
	Measure(ctx context.Context, peers ...peer.ID)
	Report(p peer.ID) p2p.Report
}

// Sessions knows which nodes have a session.
type Sessions interface {
	Connected(p peer.ID) (since time.Time, ok bool)
}

// Config configures an administration. All of it is required.
type Config struct {
	Software, Federation string
	Started              time.Time
	// HTTPAddress is the address of Flower's APIs, and TLS tells whether they speak it.
	HTTPAddress string
	TLS         bool
	// Relays are those that the link was told to use.
	Relays []peer.AddrInfo

	Store    Store
	Host     Host
	Sessions Sessions
	Members  *membership.Members
	Tickets  *membership.Tickets
	// SuperExec describes in a few words the state of the link's own SuperExec.
	SuperExec func() string
	// Backup is what a backup copies.
	Backup backup.Source
}

// Admin answers administrators.
type Admin struct {
	cfg Config
}

// New makes an administration.
func New(cfg Config) *Admin { return &Admin{cfg: cfg} }
