package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rhizome-fl/rhizome/exec"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/link"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/link/sessions"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/node"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/relay"
	"github.com/rhizome-fl/rhizome/p2p/relayd"
)

const (
	somePeer = "12D3KooWRqx4hfXQ3WwXgSxvE2q9KNREDuHRkp3tBi7h91fxB32X"
	someAddr = "/ip4/192.0.2.7/tcp/4001"
)

// options are the flags of a command.
type options interface{ define(cmd *cobra.Command) }

// parse reads a command line into options; the home directory is /home/me.
func parse(t *testing.T, o options, line ...string) {
	t.Helper()
	t.Setenv("HOME", "/home/me")
	cmd := &cobra.Command{}
	o.define(cmd)
	if err := cmd.ParseFlags(line); err != nil {
		t.Fatal(err)
	}
}

// check compares a configuration with the one wanted, including fields that have no value.
func check[C any](t *testing.T, got C, err error, want C) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	same := []cmp.Option{
		cmp.Comparer(func(a, b ma.Multiaddr) bool { return a.Equal(b) }), cmpopts.EquateEmpty(),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type().Kind().String() == "func" }, cmp.Ignore()),
	}
	if diff := cmp.Diff(want, got, same...); diff != "" {
		t.Errorf("the configuration differs (-want +got):\n%s", diff)
	}
}

func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := datadir.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLinkWithoutFlags(t *testing.T) {
	var o linkOptions
	parse(t, &o)
	got, err := o.config()
	check(t, got, err, link.Config{
		DataDir: "/home/me/.rhizome/link", HTTP: "127.0.0.1:8000", Federation: state.FederationDefault, Software: software(),
		MaxNodes: 4096, Heartbeat: sessions.DefaultHeartbeat, Grace: sessions.DefaultGrace,
		Keep: state.Retention{Age: 90 * 24 * time.Hour, Bytes: 10e9}, KeepSpare: 8 << 30,
	})
}

func TestLinkFlags(t *testing.T) {
	var o linkOptions
	parse(t, &o, "--data", "hub", "--http", "0.0.0.0:443", "--tls-cert", "c.pem", "--tls-key", "k.pem",
		"--control-token-file", secretFile(t, " token of operators \n"), "--superexec-auth-secret-file", secretFile(t, "of executors"),
		"--insecure", "--fleet-http", "--enable-supernode-auth", "--federation", "hospitals", "--swarm", "--max-nodes", "7",
		"--heartbeat", "2s", "--grace", "1m", "--keep-runs", "forever", "--keep-bytes", "2GiB", "--keep-spare", "forever", "--leave-superexec",
		"--listen", someAddr, "--relay", someAddr+"/p2p/"+somePeer, "--websocket")
	got, err := o.config()
	id, _ := peer.Decode(somePeer)
	check(t, got, err, link.Config{
		DataDir: "hub", HTTP: "0.0.0.0:443", CertFile: "c.pem", KeyFile: "k.pem",
		ControlToken: []byte("token of operators"), ExecSecret: []byte("of executors"),
		Insecure: true, FleetHTTP: true, RegisteredNodesOnly: true, Federation: "hospitals", Swarm: true, MaxNodes: 7,
		Heartbeat: 2 * time.Second, Grace: time.Minute, Keep: state.Retention{Bytes: 2 << 30}, LeaveSuperExec: true, Software: software(),
		Overlay: p2p.Overlay{
			Listen: []ma.Multiaddr{ma.StringCast(someAddr)}, WebSocket: true,
			Relays: []peer.AddrInfo{{ID: id, Addrs: []ma.Multiaddr{ma.StringCast(someAddr)}}},
		},
	})
}

func TestNodeFlags(t *testing.T) {
	var o nodeOptions
	parse(t, &o)
	got, err := o.config()
	check(t, got, err, node.Config{DataDir: "/home/me/.rhizome/node", Slots: node.DefaultSlots, Software: software()})

	o = nodeOptions{}
	parse(t, &o, "--data", "n1", "--join", "@"+secretFile(t, "rhz1ticket\n"), "--name", "ward", "--location", "here", "--node-config", "a=1",
		"--trusted-entities", "keys.yaml", "--slots", "3", "--share-logs", "--decline-swarm", "--swarm-upload-rate", "2MB",
		"--runtime-port", "4000", "--leave-superexec", "--listen", "none", "--upnp", "--mdns", "clinic", "--port", "4001", "--announce", someAddr)
	got, err = o.config()
	check(t, got, err, node.Config{
		DataDir: "n1", Join: "rhz1ticket", Name: "ward", Location: "here", NodeConfig: "a=1", TrustedEntities: "keys.yaml",
		Slots: 3, ShareLogs: true, DeclineSwarm: true, SwarmUploadRate: 2e6, RuntimePort: 4000, LeaveSuperExec: true, Software: software(),
		Overlay: p2p.Overlay{NoListen: true, UPnP: true, MDNS: "clinic", Port: 4001, Announce: []ma.Multiaddr{ma.StringCast(someAddr)}},
	})
}

func TestRelayFlags(t *testing.T) {
	id, _ := peer.Decode(somePeer)
	var o relayOptions
	parse(t, &o, "--allow-link", somePeer)
	got, err := o.config()
	check(t, got, err, relayd.Config{
		DataDir: "/home/me/.rhizome/relay", Links: []peer.ID{id}, Software: software(),
		Limits: relay.Limits{PeerCircuits: 16, Circuits: 2048},
	})

	o = relayOptions{}
	parse(t, &o, "--data", "r", "--open", "--metrics", "127.0.0.1:9100", "--peer-rate", "1MB", "--peer-bytes", "2GB", "--peer-circuits", "3",
		"--federation-rate", "4MB", "--federation-bytes", "5GB", "--federation-circuits", "6", "--rate", "7000000", "--circuits", "8",
		"--circuit-bytes", "9MiB", "--circuit-time", "10m")
	got, err = o.config()
	check(t, got, err, relayd.Config{
		DataDir: "r", Open: true, Metrics: "127.0.0.1:9100", Software: software(),
		Limits: relay.Limits{
			PeerRate: 1e6, PeerBytes: 2e9, PeerCircuits: 3, FederationRate: 4e6, FederationBytes: 5e9, FederationCircuits: 6,
			Rate: 7e6, Circuits: 8, CircuitBytes: 9 << 20, CircuitTime: 10 * time.Minute,
		},
	})
}

func TestProxyFlags(t *testing.T) {
	var o proxyOptions
	parse(t, &o, "--join", "rhz1ticket")
	got, err := o.config()
	check(t, got, err, remote.Config{DataDir: "/home/me/.rhizome/proxy", Join: "rhz1ticket", HTTP: "127.0.0.1:8000", Software: software()})
}

func TestExecFlags(t *testing.T) {
	var o execOptions
	parse(t, &o, "--runtime-api-address", "127.0.0.1:8000")
	got, err := o.config()
	check(t, got, err, exec.Config{DataDir: "/home/me/.rhizome/exec", RuntimeAddress: "127.0.0.1:8000", MaxApps: exec.DefaultMaxApps})

	o = execOptions{}
	parse(t, &o, "--data", "x", "--runtime-api-address", "127.0.0.1:1", "--root-certificates", "ca.pem", "--superexec-auth-secret-file", secretFile(t, "hush"),
		"--python", ".venv", "--allow-runtime-dependency-installation", "--max-apps", "2", "--share-logs", "--cold", "--preload", "torch", "--preload", "numpy")
	got, err = o.config()
	check(t, got, err, exec.Config{
		DataDir: "x", RuntimeAddress: "127.0.0.1:1", TLS: true, RootCertificates: "ca.pem", Secret: []byte("hush"), Python: ".venv",
		AllowDependencyInstallation: true, MaxApps: 2, ShareLogs: true, Cold: true, Preload: []string{"torch", "numpy"},
	})
}

// What a link or a node is told about its SuperExec must reach `rhizome exec` unchanged.
func TestSuperExecIsStartedAsToldTo(t *testing.T) {
	secret := secretFile(t, "hush")
	o := superExecOptions{ca: "ca.pem", secretFile: secret, installDependencies: true, cold: true, shareLogs: true, preload: []string{"torch"}}
	args := o.args("data", "127.0.0.1:1", "/venv", "data/superexec.secret")
	if args[0] != "exec" {
		t.Fatalf("it starts rhizome %s", args[0])
	}
	var started execOptions
	parse(t, &started, args[1:]...)
	got, err := started.config()
	check(t, got, err, exec.Config{
		DataDir: "data", RuntimeAddress: "127.0.0.1:1", TLS: true, RootCertificates: "ca.pem", Secret: []byte("hush"), Python: "/venv",
		AllowDependencyInstallation: true, MaxApps: exec.DefaultMaxApps, ShareLogs: true, Cold: true, Preload: []string{"torch"},
	})
}

// All daemons on the overlay take the same flags for it, described in the same words.
func TestOverlayFlagsAreTheSameEverywhere(t *testing.T) {
	reference := &cobra.Command{}
	overlayFlags(reference, &overlayOptions{})
	for _, cmd := range []*cobra.Command{newLink(), newNode(), newRelay(), newProxy()} {
		reference.Flags().VisitAll(func(want *pflag.Flag) {
			got := cmd.Flags().Lookup(want.Name)
			if got == nil || got.Usage != want.Usage || got.DefValue != want.DefValue {
				t.Errorf("%s --%s is %+v, want %+v", cmd.Name(), want.Name, got, want)
			}
		})
	}
}
