package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/rhizome-fl/rhizome/internal/daemon"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/internal/localpeer"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

// dataKind marks the data directories of proxies and observers; each may become the other.
const dataKind = "proxy"

// Config configures a proxy or an observer. DataDir is required, and so is Join for a new data directory.
type Config struct {
	// DataDir keeps the identity that joined, and which link it belongs to. It is created if it does not exist.
	DataDir string
	// Join is a ticket, or multiaddrs of the link with its peer id.
	Join string
	// HTTP is the local address of a proxy.
	HTTP string
	// Local says which processes of this machine may use that address; by default those of root
	// and of the user who runs the proxy.
	Local localpeer.Guard

	p2p.Overlay

	// Software is what the peer calls itself, such as "rhizome 1.2.3".
	Software string
}

// peerOf is a peer of the overlay that knows its link.
type peerOf struct {
	daemon daemon.Daemon
	cfg    Config
	roles  []join.Role
	ticket *ticket.Ticket // nil: the link of an earlier start
	dir    *datadir.Dir
	host   *p2p.Host
	link   reach.Target
}

// newPeer reads the ticket before anything is opened.
func newPeer(cfg Config, roles ...join.Role) (*peerOf, error) {
	if cfg.DataDir == "" {
		return nil, errors.New("no data directory")
	}
	t, err := parseJoin(cfg.Join, cfg.DataDir, roles...)
	if err != nil {
		return nil, err
	}
	return &peerOf{cfg: cfg, roles: roles, ticket: t}, nil
}

func (p *peerOf) openData(context.Context) (err error) {
	if p.dir, err = datadir.Open(p.cfg.DataDir, dataKind); err != nil {
		return err
	}
	p.daemon.Opened(p.dir.Close)
	return nil
}

func (p *peerOf) openOverlay(context.Context) (err error) {
	if p.host, err = p2p.Open(p.dir, p2p.Config{Kind: p2p.Leaf, Overlay: p.cfg.Overlay, UserAgent: p.cfg.Software}); err != nil {
		return err
	}
	p.daemon.Opened(p.host.Close)
	return nil
}

// openLink joins with the ticket, or uses the link of an earlier start.
func (p *peerOf) openLink(ctx context.Context) (err error) {
	p.link, err = reachLink(ctx, p.ticket, p.dir, p.host, p.roles...)
	return err
}

// steps are the steps of opening that proxy and observer share.
func (p *peerOf) steps() (data, overlay, link daemon.Step) {
	return daemon.Step{Name: "data", Open: p.openData},
		daemon.Step{Name: "overlay", Open: p.openOverlay},
		daemon.Step{Name: "SuperLink", Open: p.openLink}
}

// errHTTP says why an address is not fit for a proxy.
func errHTTP(address string) error {
	return fmt.Errorf("HTTP address %q: want a loopback address such as 127.0.0.1:8000: anyone who reaches the port acts as you", address)
}
