package link

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rhizome-fl/rhizome/exec/launch"
	"github.com/rhizome-fl/rhizome/internal/localpeer"
	"github.com/rhizome-fl/rhizome/link/sessions"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p"
)

// DefaultHTTP is where a stock SuperLink serves.
const DefaultHTTP = "127.0.0.1:8000"

// Config configures a link. Only DataDir is required.
type Config struct {
	// DataDir holds everything that the link knows. It is created if it does not exist.
	DataDir string

	// HTTP is the address of the Control, Runtime and Fleet APIs; default [DefaultHTTP].
	HTTP string
	// CertFile and KeyFile (PEM) switch HTTP to TLS.
	CertFile, KeyFile string
	// ControlToken, if not empty, must come as a bearer token with every request to the Control
	// API over HTTP. Operators on the overlay need no token.
	ControlToken []byte
	// Insecure allows what is otherwise refused on any address but loopback: HTTP without TLS, a
	// Control API without a token, a Runtime API without a secret, and stock SuperNodes whose
	// keys nobody has registered.
	Insecure bool
	// ExecSecret, if not empty, must have signed every request of a SuperExec for a task. A link
	// that starts its own SuperExec makes a secret if none is given.
	ExecSecret []byte
	// Local says which processes of this machine may use the APIs; by default those of root and
	// of the user who runs the link. Where a request must show a token, a secret or a registered
	// key, only web pages are kept out.
	Local localpeer.Guard

	// FleetHTTP lets stock SuperNodes join over HTTP: all that can reach the address, or, with
	// RegisteredNodesOnly, those whose keys were registered with `flwr supernode register`.
	FleetHTTP, RegisteredNodesOnly bool

	// Federation is the name in tickets and in the announcements of runs.
	Federation string

	// Swarm lets the nodes of a run fetch from each other what goes to all of them, so that this
	// link uploads about one copy. It shows the nodes each other's addresses, and tickets say so.
	Swarm bool

	p2p.Overlay

	// MaxNodes bounds the peers connected at a time; default [DefaultMaxNodes].
	MaxNodes int

	// Heartbeat is the interval of the sessions' beats, and Grace how long a node may be away;
	// their defaults are in link/sessions.
	Heartbeat, Grace time.Duration

	// Keep says which finished runs are kept; zero keeps all.
	Keep state.Retention

	// KeepSpare bounds, in bytes, the objects of unfinished runs that no message needs any more;
	// 0 leaves it to the disk. Keeping them saves transferring again what is sent again.
	KeepSpare int64

	// SuperExec says how to start the link's own SuperExec, given a data folder for it, the
	// address of the Runtime API, and the file with the secret that it is to sign with (empty:
	// the one that the user named). Nil: the user starts a SuperExec (--isolation process).
	SuperExec func(dataDir, runtimeAddress, secretFile string) launch.Options
	// LeaveSuperExec lets the SuperExec and its apps run on when the link is stopped, as they do
	// when it is killed: the next link on this data directory takes them back.
	LeaveSuperExec bool

	// Software is what the link calls itself, such as "rhizome 1.2.3".
	Software string
}

func (c Config) withDefaults() Config {
	if c.HTTP == "" {
		c.HTTP = DefaultHTTP
	}
	if c.Federation == "" {
		c.Federation = state.FederationDefault
	}
	if c.MaxNodes == 0 {
		c.MaxNodes = DefaultMaxNodes
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = sessions.DefaultHeartbeat
	}
	if c.Grace == 0 {
		c.Grace = sessions.DefaultGrace
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("no data directory"))
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, errors.New("TLS needs both a certificate and its key"))
	}
	if c.Heartbeat < minHeartbeat || c.Heartbeat > maxHeartbeat {
		errs = append(errs, fmt.Errorf("heartbeat %s: want 1s to 10m", c.Heartbeat))
	}
	if c.Grace < c.Heartbeat {
		errs = append(errs, fmt.Errorf("grace period %s is shorter than the heartbeat %s; it must be at least as long", c.Grace, c.Heartbeat))
	}
	if c.Keep.Age < 0 || c.Keep.Bytes < 0 {
		errs = append(errs, fmt.Errorf("finished runs cannot be kept for %s and %d bytes: neither may be negative", c.Keep.Age, c.Keep.Bytes))
	}
	if c.MaxNodes < 0 || c.MaxNodes > maxNodes {
		errs = append(errs, fmt.Errorf("room for %d nodes: %d at most", c.MaxNodes, maxNodes))
	}
	if c.KeepSpare < 0 {
		errs = append(errs, fmt.Errorf("spare objects cannot take %d bytes: the bound must not be negative", c.KeepSpare))
	}
	if err := c.validateHTTP(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// validateHTTP refuses to expose the APIs to a network in the clear, or without asking who is
// calling.
func (c Config) validateHTTP() error {
	host, _, err := net.SplitHostPort(c.HTTP)
	if err != nil {
		return fmt.Errorf("HTTP address %q: want host:port, such as %s", c.HTTP, DefaultHTTP)
	}
	if n := len(c.ControlToken); n > 0 && n < minControlToken {
		return fmt.Errorf("the control token has %d bytes; it needs at least %d, which nobody can guess", n, minControlToken)
	}
	if c.Insecure || isLoopback(host) {
		return nil
	}
	const otherwise = "or keep 127.0.0.1 and use rhizome proxy, or say --insecure if the whole network is trusted"
	switch {
	case c.CertFile == "":
		return fmt.Errorf("HTTP address %s can be reached from other machines: give a TLS certificate (--tls-cert, --tls-key), %s", c.HTTP, otherwise)
	case len(c.ControlToken) == 0:
		return fmt.Errorf("HTTP address %s can be reached from other machines, and whoever does could start runs: demand a token (--control-token-file), %s", c.HTTP, otherwise)
	case c.FleetHTTP && !c.RegisteredNodesOnly:
		return fmt.Errorf("HTTP address %s can be reached from other machines, and whoever does could be a SuperNode: take only registered ones (--enable-supernode-auth), %s", c.HTTP, otherwise)
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
