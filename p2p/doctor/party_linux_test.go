//go:build linux

package doctor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/internal/natlab"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/reach"
	"github.com/rhizome-fl/rhizome/p2p/relay"
)

// partyEnv makes this program one party of a lab: its value is a party in JSON. A party is a
// process of its own, since goroutines do not inherit the namespace of whoever started them.
const partyEnv = "RHIZOME_DOCTOR_PARTY"

// party is what the process should be. Link and relay serve until their stdin ends.
type party struct {
	Role      string // link, relay or doctor
	Key       []byte
	Port      int
	WebSocket bool
	Relays    []peer.AddrInfo

	// These are for a relay.
	AllowLinks []peer.ID
	// These are for a link.
	Members []peer.ID

	// These are for a doctor.
	Link     peer.ID `json:",omitempty"`
	Addrs    []string
	OwnLink  bool
	Proxy    string
	Joining  bool // it has a peer id of its own
	PortHeld bool // another program has the site's port
}

// ready is what link and relay print first.
type ready struct {
	Peer  peer.ID
	Addrs []string
}

// entered is the reason why labs cannot be built here, or nil.
var entered error

func TestMain(m *testing.M) {
	if text := os.Getenv(partyEnv); text != "" {
		if err := runParty(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if entered = natlab.Available(); entered == nil {
		entered = natlab.Enter()
	}
	if entered == nil { // the other tests use loopback
		entered = exec.Command("ip", "link", "set", "lo", "up").Run()
	}
	os.Exit(m.Run())
}

func runParty(text string) error {
	var p party
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	key, err := crypto.UnmarshalPrivateKey(p.Key)
	if err != nil {
		return err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return err
	}
	identity := identity.Identity{Key: key, ID: id}
	switch p.Role {
	case "relay":
		return p.runRelay(identity)
	case "link":
		return p.runLink(identity)
	}
	return p.runDoctor(identity)
}

func (p party) runRelay(identity identity.Identity) error {
	h, err := p2p.NewHost(p2p.Config{Identity: identity, Kind: p2p.RelayHost, Overlay: p2p.Overlay{Port: p.Port, WebSocket: p.WebSocket}})
	if err != nil {
		return err
	}
	defer h.Close()
	r, err := relay.New(h, relay.Options{Links: p.AllowLinks})
	if err != nil {
		return err
	}
	defer r.Close()
	defer Serve(h, nil).Close()
	return serveUntilEOF(h)
}

func (p party) runLink(identity identity.Identity) error {
	isMember := func(id peer.ID) bool { return slices.Contains(p.Members, id) }
	h, err := p2p.NewHost(p2p.Config{
		Identity: identity, Kind: p2p.Hub, Overlay: p2p.Overlay{Port: p.Port, WebSocket: p.WebSocket, Relays: p.Relays},
		Gate: admission.GateFunc(func(id peer.ID) admission.Standing {
			if isMember(id) {
				return admission.Member
			}
			return admission.Joining
		}),
	})
	if err != nil {
		return err
	}
	defer h.Close()
	defer Serve(h, isMember).Close()
	joins := join.Serve(h, func(join.Request) bool { return true }, func(context.Context, peer.ID, join.Request) (join.Answer, error) {
		fmt.Fprintln(os.Stderr, "the doctor joined, or tried to")
		os.Exit(3)
		return join.Answer{}, nil
	})
	defer joins.Close()
	ctx, cancel := context.WithCancel(context.Background())
	vouched := relay.NewMembers("lab", p.Members)
	done := make(chan struct{}, len(p.Relays))
	for _, info := range p.Relays {
		go func() {
			defer func() { done <- struct{}{} }()
			_ = h.Keep(ctx, reach.Target{Peer: info.ID, Addrs: info.Addrs}, relay.VouchProtocol, func(ctx context.Context, s network.Stream) error {
				return vouched.Vouch(ctx, s)
			})
		}()
	}
	defer func() {
		cancel()
		for range p.Relays {
			<-done
		}
	}()
	if err := p.awaitCircuits(ctx, h, vouched); err != nil {
		return err
	}
	return serveUntilEOF(h)
}

// awaitCircuits returns when every relay holds a reservation and knows the members.
func (p party) awaitCircuits(ctx context.Context, h *p2p.Host, vouched *relay.Members) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	events, stop := h.Events()
	defer stop()
	for {
		held := make(map[peer.ID]bool)
		for _, a := range h.Addresses() {
			if info, ok := addr.SplitCircuit(a); ok {
				held[info.ID] = true
			}
		}
		if len(held) == len(p.Relays) {
			return vouched.Sync(ctx)
		}
		select {
		case <-events:
		case <-ctx.Done():
			return fmt.Errorf("reservations at %d of %d relays", len(held), len(p.Relays))
		}
	}
}

func serveUntilEOF(h *p2p.Host) error {
	said := ready{Peer: h.ID()}
	for _, a := range h.Addresses() {
		said.Addrs = append(said.Addrs, a.String())
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func (p party) runDoctor(identity identity.Identity) error {
	cfg := Config{NewHost: newHost, Link: p.Link, OwnLink: p.OwnLink, Relays: p.Relays, Port: p.Port, Running: p.PortHeld}
	if !p.Joining {
		cfg.Identity = identity
	}
	for _, text := range p.Addrs {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return err
		}
		cfg.Addrs = append(cfg.Addrs, a)
	}
	if p.Proxy != "" {
		proxy, err := url.Parse(p.Proxy)
		if err != nil {
			return err
		}
		cfg.Proxy = proxy
	}
	r, err := Examine(context.Background(), cfg)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

const (
	// startLimit and stopLimit bound what may hang on a busy machine.
	startLimit = 30 * time.Second
	stopLimit  = 10 * time.Second
)

// clinic is a lab with a link, two relays, and sites to examine.
type clinic struct {
	t   *testing.T
	lab *natlab.Lab
}

func newClinic(t *testing.T, sites ...natlab.Site) *clinic {
	t.Helper()
	if entered != nil {
		t.Skip("labs cannot be built here: ", entered)
	}
	lab, err := natlab.Build(natlab.Topology{Prefix: "doc", Sites: sites})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	return &clinic{t, lab}
}

func (c *clinic) command(ctx context.Context, host string, p party) *exec.Cmd {
	c.t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := c.lab.Cmd(ctx, host, "/proc/self/exe")
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.Contains(strings.ToLower(s), "_proxy=") }), partyEnv+"="+string(text))
	if exe, err := os.Executable(); err == nil {
		cmd.Args[len(cmd.Args)-1] = exe
	}
	return cmd
}

// start runs a link or relay until the test ends, and returns its addresses.
func (c *clinic) start(host string, p party) peer.AddrInfo {
	c.t.Helper()
	cmd := c.command(context.Background(), host, p)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = stdin.Close()
		kill := time.AfterFunc(stopLimit, func() { _ = cmd.Process.Kill() })
		if err := cmd.Wait(); err != nil {
			c.t.Errorf("%s on %s: %v\n%s", p.Role, host, err, stderr.String())
		}
		kill.Stop()
	})
	var said ready
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		c.t.Fatalf("%s on %s did not start: %v\n%s", p.Role, host, err, stderr.String())
	}
	info := peer.AddrInfo{ID: said.Peer}
	for _, text := range said.Addrs {
		info.Addrs = append(info.Addrs, ma.StringCast(text))
	}
	return info
}

// examine runs a doctor to its end.
func (c *clinic) examine(host string, p party) (Report, error) {
	p.Role = "doctor"
	ctx, cancel := context.WithTimeout(c.t.Context(), MaxTime+startLimit)
	defer cancel()
	cmd := c.command(ctx, host, p)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return Report{}, fmt.Errorf("doctor on %s: %w\n%s", host, err, stderr.String())
	}
	var r Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		return Report{}, fmt.Errorf("report of %s: %w\n%s", host, err, stdout.String())
	}
	return r, nil
}
