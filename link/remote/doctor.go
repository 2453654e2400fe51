package remote

import (
	"errors"
	"fmt"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/p2p/doctor"
)

// RecallTargets reads from the data directory of a proxy or observer that is not running whom it
// has to reach.
func RecallTargets(dataDir string) (_ doctor.Targets, err error) {
	dir, err := datadir.Open(dataDir, dataKind)
	if err != nil {
		return doctor.Targets{}, fmt.Errorf("a running proxy cannot be asked; stop it, or pass its ticket with --join and a different --data: %w", err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	target, err := recallLink(dir)
	if err != nil {
		return doctor.Targets{}, err
	}
	targets := doctor.Targets{Link: target.Peer}
	for _, a := range target.Addrs {
		targets.Addresses = append(targets.Addresses, a.String())
	}
	return targets, nil
}
