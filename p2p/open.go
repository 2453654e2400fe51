package p2p

import (
	"fmt"
	"path/filepath"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/p2p/identity"
)

// These are the names that the overlay uses in a data directory.
const (
	IdentityFile = "identity"
	PortFile     = "port"
)

// Open makes a host with the identity and, unless cfg names another, the port that the data
// directory keeps. Both are chosen once: a daemon that is restarted is the same peer at the same
// addresses.
func Open(dir *datadir.Dir, cfg Config) (_ *Host, err error) {
	if cfg.Identity, err = IdentityOf(dir.Path()); err != nil {
		return nil, err
	}
	if cfg.Port == 0 && len(cfg.Listen) == 0 && !cfg.NoListen {
		if cfg.Port, err = identity.LoadOrPickPort(dir.Path(PortFile)); err != nil {
			return nil, fmt.Errorf("choose a port for the overlay: %w", err)
		}
	}
	return NewHost(cfg)
}

// IdentityOf returns the identity that a data directory keeps, and makes one if there is none yet.
// It may be called while a daemon holds the directory.
func IdentityOf(dataDir string) (identity.Identity, error) {
	return identity.LoadOrCreate(filepath.Join(dataDir, IdentityFile))
}
