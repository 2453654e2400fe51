package guard

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/rhizome-fl/rhizome/e2e/world"
	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/session"
)

const (
	floodConnections = 2000
	floodStreams     = 20_000
	// mostGrowth is how much more memory a link may take while it is flooded, in bytes; 44
	// MiB were seen.
	mostGrowth = 128 << 20
)

// resident is the memory of a process: now, and at its peak.
func resident(t *testing.T, pid int) (now, most int64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	field := func(name string) int64 {
		match := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(text)
		if match == nil {
			t.Fatalf("no %s in /proc/%d/status", name, pid)
		}
		kilobytes, err := strconv.ParseInt(string(match[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return kilobytes << 10
	}
	return field("VmRSS"), field("VmHWM")
}

// attacker is a libp2p host that sets itself no limits.
func attacker(t *testing.T, key crypto.PrivKey) host.Host {
	t.Helper()
	options := []libp2p.Option{libp2p.NoListenAddrs, libp2p.ResourceManager(&network.NullResourceManager{})}
	if key != nil {
		options = append(options, libp2p.Identity(key))
	}
	h, err := libp2p.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Thousands of connections from strangers, and tens of thousands of streams from a member
// that has turned hostile, cost the link a bounded amount of memory; meanwhile others can
// work.
func TestFloods(t *testing.T) {
	w := world.New(t)
	hub, _ := w.Link("--isolation", "process")
	var status linkadmin.Status
	w.JSON(&status, "status", "--data", w.Path("link"), "--json")
	target, err := peer.AddrInfoFromString(status.Addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	before, _ := resident(t, hub.PID())

	refused := floodOfConnections(t, *target)
	_, most := resident(t, hub.PID())
	t.Logf("%d connections of strangers, %d refused at once: %d MiB before, at most %d MiB", floodConnections, refused, before>>20, most>>20)
	if most-before > mostGrowth {
		t.Errorf("the link took %d MiB more", (most-before)>>20)
	}

	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	w.Command("member", "add", "--data", w.Path("link"), id.String())
	opened := floodOfStreams(t, attacker(t, key), *target, func() {
		w.Node(w.Ticket(), 0, 1, "--isolation", "process") // waits until it has its session
		w.Command("status", "--data", w.Path("link"))
	})
	_, most = resident(t, hub.PID())
	t.Logf("%d streams of a member, %d of them open at a time at the end: at most %d MiB", floodStreams, opened, most>>20)
	if most-before > mostGrowth {
		t.Errorf("the link took %d MiB more", (most-before)>>20)
	}
	if hub.Ended() {
		t.Error("the link has ended")
	}
}

// floodOfConnections has strangers connect and stay as long as they can, each with as many
// streams as it can get.
func floodOfConnections(t *testing.T, target peer.AddrInfo) (refused int64) {
	t.Helper()
	var group sync.WaitGroup
	slots := make(chan struct{}, 64)
	var count atomic.Int64
	var mu sync.Mutex
	var hosts []host.Host
	for range floodConnections {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			h := attacker(t, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if h.Connect(ctx, target) != nil {
				count.Add(1)
			}
			for range 10 {
				stream, err := h.NewStream(network.WithNoDial(ctx, "flood"), target.ID, admission.JoinProtocol)
				if err != nil {
					break
				}
				_, _ = stream.Write([]byte{0xff, 0xff, 0x7f}) // the beginning of a long request
			}
			mu.Lock()
			defer mu.Unlock()
			hosts = append(hosts, h)
		})
	}
	group.Wait()
	for _, h := range hosts {
		_ = h.Close()
	}
	return count.Load()
}

// floodOfStreams opens streams of every kind, and on each says nothing or only the beginning
// of something. It calls meanwhile when the flood is at its height.
func floodOfStreams(t *testing.T, h host.Host, target peer.AddrInfo, meanwhile func()) (open int) {
	t.Helper()
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	protocols := []protocol.ID{session.ProtocolID, objects.ProtocolID, remote.ControlProtocol, remote.StatusProtocol, admission.JoinProtocol}
	for i := range floodStreams {
		if h.Network().Connectedness(target.ID) != network.Connected {
			if err := h.Connect(ctx, target); err != nil {
				t.Fatalf("after %d streams: %v", i, err)
			}
		}
		stream, err := h.NewStream(ctx, target.ID, protocols[i%len(protocols)])
		if err == nil {
			_, _ = stream.Write([]byte{0xff, 0xff, 0x7f, 'G', 'E', 'T'})
		}
	}
	meanwhile()
	for _, c := range h.Network().ConnsToPeer(target.ID) {
		open += len(c.GetStreams())
	}
	return open
}
