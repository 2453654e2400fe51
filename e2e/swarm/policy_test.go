//go:build linux

package swarm

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/internal/natlab"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// ideal is the line of tests that are about who talks to whom, not about how long it takes.
var ideal natlab.Link

const smallModel = 12 << 20

// onTCP has nodes connect over TCP, where the system shows their connections.
var onTCP = []string{"--listen", "/ip4/0.0.0.0/tcp/4001"}

// neighbours returns the other nodes with which a node has a TCP connection.
func (f *federation) neighbours(n *daemon) (with []string) {
	f.t.Helper()
	var table string
	err := f.lab.In(n.name, func() error {
		b, err := os.ReadFile("/proc/thread-self/net/tcp")
		table = string(b)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	own := make(map[netip.Addr]string)
	for _, other := range f.nodes {
		own[netip.MustParseAddr(f.lab.Addr(other.name))] = other.name
	}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "01" { // established
			continue
		}
		raw, _, _ := strings.Cut(fields[2], ":")
		b, err := hex.DecodeString(raw)
		if err != nil || len(b) != 4 {
			continue
		}
		slices.Reverse(b)
		if name := own[netip.AddrFrom4([4]byte(b))]; name != "" {
			with = append(with, name)
		}
	}
	return with
}

func TestSwarmIsOffUnlessTheLinkSaysSo(t *testing.T) {
	f := found(t, ideal, ideal, 3, natlab.Public)
	f.joinAll(3, onTCP...)
	a := f.begin()
	a.push(newModel(smallModel), f.nodes...)
	a.arrive(1, f.nodes...)
	for _, n := range f.nodes {
		if s := n.status().Swarm; s.State == "on" || s.Peers > 0 || s.Given+s.Taken > 0 {
			t.Errorf("%s: %+v", n.name, s)
		}
		if with := f.neighbours(n); len(with) > 0 {
			t.Errorf("%s is connected with %v", n.name, with)
		}
	}
	if copies := float64(f.fromLink()) / smallModel; copies < 3 {
		t.Errorf("the link sent %.2f copies", copies)
	}
}

func TestANodeThatDeclinesIsShownToNobody(t *testing.T) {
	f := found(t, ideal, ideal, 4, natlab.Public, "--swarm")
	f.joinAll(3, onTCP...)
	shy := f.join(3, append(onTCP, "--decline-swarm")...)
	a := f.begin()
	a.push(newModel(smallModel), f.nodes...)
	a.arrive(1, f.nodes...)
	var given, taken int64
	for _, n := range f.nodes[:3] {
		s := n.status().Swarm
		if s.State != "on" || s.Peers != 2 || len(f.neighbours(n)) == 0 {
			t.Errorf("%s: %+v, connected with %v", n.name, s, f.neighbours(n))
		}
		if slices.Contains(f.neighbours(n), shy.name) {
			t.Errorf("%s is connected with who declined", n.name)
		}
		given, taken = given+s.Given, taken+s.Taken
	}
	if given == 0 || taken == 0 {
		t.Errorf("the others gave %d bytes and took %d", given, taken)
	}
	if s := shy.status().Swarm; s.State != "declined" || s.Peers != 0 || s.Given+s.Taken != 0 || len(f.neighbours(shy)) > 0 {
		t.Errorf("who declined: %+v, connected with %v", s, f.neighbours(shy))
	}
}

func TestWhoIsRemovedIsCutOffByTheOthers(t *testing.T) {
	f := found(t, ideal, ideal, 3, natlab.Public, "--swarm")
	f.joinAll(3, onTCP...)
	a := f.begin()
	a.push(newModel(smallModel), f.nodes...)
	a.arrive(1, f.nodes...)
	var status struct {
		Nodes []struct {
			Name   string `json:"name"`
			PeerID string `json:"peer_id"`
		} `json:"nodes"`
	}
	if err := f.link.admin.Call(t.Context(), "GET", "/status", nil, &status); err != nil {
		t.Fatal(err)
	}
	removed := f.nodes[2]
	for _, n := range status.Nodes {
		if n.Name == removed.name {
			if err := f.link.admin.Call(t.Context(), "DELETE", "/members/"+n.PeerID, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, n := range f.nodes[:2] {
		f.await(n.name+" has cut it off", func() bool {
			return n.status().Swarm.Peers == 1 && !slices.Contains(f.neighbours(n), removed.name)
		})
	}
	<-removed.done // a node that is removed ends
	// The end of the run disconnects the others from each other.
	a.call(flwr.PathStopRun, &flwrpb.StopRunRequest{RunId: a.runID}, &flwrpb.StopRunResponse{})
	for _, n := range f.nodes[:2] {
		f.await(n.name+" knows nobody", func() bool { return n.status().Swarm.Peers == 0 && len(f.neighbours(n)) == 0 })
	}
}

func TestNodesThatCanNotReachEachOtherGetAllFromTheLink(t *testing.T) {
	f := found(t, ideal, ideal, 3, natlab.Symmetric, "--swarm")
	f.joinAll(3, onTCP...)
	a := f.begin()
	a.push(newModel(smallModel), f.nodes...)
	a.arrive(1, f.nodes...)
	for _, n := range f.nodes {
		if s := n.status().Swarm; s.Given+s.Taken > 0 || s.Peers != 2 {
			t.Errorf("%s: %+v", n.name, s)
		}
	}
}

// The link's line is a slow one here, as it is where a swarm is useful. A node that has reached
// nobody within half a second says that it is alone. On an ideal line the link would give away a
// whole model in that time, and whether the node had reached anybody would depend on the machine.
func TestWhoComesLateToARunIsHelped(t *testing.T) {
	// fromLink is what the link may have under way to a node that was alone for a moment.
	const fromLink = 2 * chunk
	f := found(t, linkLine, nodeLine, 4, natlab.Public, "--swarm")
	f.joinAll(3, onTCP...)
	a, m := f.begin(), newModel(modelSize)
	a.push(m, f.nodes...)
	a.arrive(1, f.nodes...)
	late := f.join(3, "--swarm-upload-rate", fmt.Sprint(10<<20))
	a.push(m, late)
	a.arrive(1, late)
	if s := late.status(); s.Swarm.Taken < modelSize-fromLink {
		t.Errorf("it took %d bytes of %d from others", s.Swarm.Taken, modelSize)
	}
}
