package node

import (
	"errors"
	"fmt"

	"github.com/rhizome-fl/rhizome/exec/launch"
	"github.com/rhizome-fl/rhizome/internal/localpeer"
	"github.com/rhizome-fl/rhizome/p2p"
)

// Config of a node. Only DataDir is required, and Join for a new data directory.
type Config struct {
	// DataDir holds everything that the node knows. It is created if it is missing.
	DataDir string
	// Join is a ticket, or multiaddrs of the link with its peer id. It is remembered in the
	// data directory.
	Join string

	// Name and Location are what the node tells the link about itself.
	Name, Location string
	// NodeConfig is given to every ClientApp: "key=value key2=value2" with TOML values, or
	// the path of one TOML file.
	NodeConfig string
	// TrustedEntities is a file of keys; only apps signed by one of them may run. If it is
	// empty, every app may.
	TrustedEntities string
	// Slots is how many messages are worked on at the same time; default DefaultSlots.
	Slots int
	// ShareLogs sends what ClientApps print to the link.
	ShareLogs bool
	// DeclineSwarm keeps this node from exchanging objects with other nodes, which would show
	// them each other's addresses. Otherwise it does so if the ticket with which it joined
	// says that the federation does.
	DeclineSwarm bool
	// SwarmUploadRate limits what is sent to other nodes, in bytes per second; 0 means no limit.
	SwarmUploadRate int64

	// RuntimePort is the port of the Runtime API on loopback. 0: chosen once and kept in the data directory.
	RuntimePort int
	// Local says which processes of this machine may use the Runtime API; by default those of the
	// user who runs the node, and root's.
	Local localpeer.Guard
	// SuperExec says how to start the node's own SuperExec, given a data folder for it, the
	// address of the Runtime API, and the file of the secret with which it must sign. Nil: the
	// user starts one (--isolation process).
	SuperExec func(dataDir, runtimeAddress, secretFile string) launch.Options
	// LeaveSuperExec lets the SuperExec and its apps keep running when the node is stopped, as
	// they do when it is killed: the next node on this data directory takes them back.
	LeaveSuperExec bool

	p2p.Overlay

	// OnConnected is called whenever a session with the link has opened. It must not block.
	// Optional.
	OnConnected func()

	// Software is what the node calls its software, such as "rhizome 1.2.3".
	Software string
}

func (c Config) withDefaults() Config {
	if c.Slots == 0 {
		c.Slots = DefaultSlots
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("no data directory"))
	}
	if c.Slots < 1 || c.Slots > maxSlots {
		errs = append(errs, fmt.Errorf("%d slots: want 1 to %d", c.Slots, maxSlots))
	}
	if len(c.Name) > maxName {
		errs = append(errs, fmt.Errorf("the name has %d bytes; at most %d are allowed", len(c.Name), maxName))
	}
	if c.SwarmUploadRate != 0 && c.SwarmUploadRate < minUploadRate {
		errs = append(errs, fmt.Errorf("a limit of %d bytes per second for other nodes: want at least %d, or decline the swarm", c.SwarmUploadRate, minUploadRate))
	}
	if c.RuntimePort < 0 || c.RuntimePort > 65535 {
		errs = append(errs, fmt.Errorf("port %d of the Runtime API is not between 0 and 65535", c.RuntimePort))
	}
	return errors.Join(errs...)
}
