package relayd

import (
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/relay"
)

// ErrNobody means that the configuration lets nobody use the relay.
var ErrNobody = errors.New("nobody is allowed to use this relay")

// Config of a relay. DataDir is required, and either Links or Open.
type Config struct {
	// DataDir keeps the identity and the port. It is created.
	DataDir string

	// Links are served, with those whom they vouch for.
	Links []peer.ID
	// Open serves everybody, within the limits.
	Open bool
	// Limits of what is carried; package relay has the defaults.
	Limits relay.Limits

	// Metrics is host:port to serve Prometheus metrics at; empty: nowhere.
	Metrics string

	p2p.Overlay

	// Software is what the relay calls itself, such as "rhizome 1.2.3".
	Software string
}

func (c Config) validate() error {
	if c.DataDir == "" {
		return errors.New("no data directory")
	}
	if len(c.Links) == 0 && !c.Open {
		return ErrNobody
	}
	return nil
}
