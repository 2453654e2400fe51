package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

const (
	simNodes = 2
	slots    = 2
	// simSteps is how many steps of the driver may see something go wrong: half a minute in all.
	simSteps = 18
	// grace is much shorter than that, so that nodes are often enough away for longer.
	grace = 8 * time.Second
	// settleLimit is how long everything may take to settle after the last fault: a silent app
	// is missed after a minute, and its work is done again.
	settleLimit = 20 * time.Minute
)

// simulation is one run of the driver.
type simulation struct {
	t      *testing.T
	dice   *dice
	ledger *ledger
	link   *linkSide
	nodes  []*nodeSide

	apps     sync.WaitGroup
	sessions sync.WaitGroup

	mu       sync.Mutex
	linkLife *linkLife // nil while the link is down
	faulty   bool      // while it is set, transfers fail now and then

	// The rest is for the driver only.
	fab     []byte
	fabHash string
	runs    []*run
	back    map[any]time.Time // when a side that is down starts again
}

type run struct {
	id           uint64
	unsent       []outgoing                  // instructions that may not have reached a link
	instructions []string                    // the others
	confirming   map[string]state.AnswerKind // answers that may have been confirmed, by instruction
	stopped      bool
}

func (w *simulation) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
		panic(err) // a bubble cannot go on without its parts
	}
}

// unlessOver complains about an error that is not due to the end of the life.
func (w *simulation) unlessOver(l *life, doing string, err error) {
	if err != nil && l.alive() == nil && l.ctx.Err() == nil {
		w.t.Errorf("%s: %v", doing, err)
	}
}

func (w *simulation) setLink(one *linkLife) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.linkLife = one
}

// linkNow returns the link's life, or nil while it is down.
func (w *simulation) linkNow() *linkLife {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.linkLife == nil || w.linkLife.alive() != nil {
		return nil
	}
	return w.linkLife
}

// dial returns the link's handler for a new stream, or nil when nobody answers.
func (w *simulation) dial(one *nodeLife) network.StreamHandler {
	link, handler := w.linkNow(), w.link.host.handler()
	if link == nil || handler == nil || one.alive() != nil || !one.node.plugged() {
		return nil
	}
	return func(s network.Stream) {
		end := s.(*stream)
		end.beforeWrite = func(data []byte) error {
			if err := link.beforeFrame(); err != nil {
				return err
			}
			w.ledger.sent(one.node.id, data)
			return nil
		}
		handler(end)
	}
}

var errTransfer = errors.New("the transfer was cut")

// transfer takes the time that one object needs.
func (w *simulation) transfer(ctx context.Context) error {
	sleep(ctx, w.dice.upTo(300*time.Millisecond))
	w.mu.Lock()
	faulty := w.faulty
	w.mu.Unlock()
	if faulty && w.dice.oneIn(8) {
		return errTransfer
	}
	return ctx.Err()
}

// fetchFromLink brings objects to a node, if the link allows it.
func (w *simulation) fetchFromLink(ctx context.Context, one *nodeLife, runID uint64, ids []string) error {
	for _, id := range ids {
		if err := w.transfer(ctx); err != nil {
			return err
		}
		link := w.linkNow()
		if link == nil || !one.node.plugged() {
			return errTransfer
		}
		if err := link.server.Authorize(ctx, one.node.id, runID, id); err != nil {
			return err
		}
		if err := copyObject(ctx, id, link.owned, one.owned); err != nil {
			return err
		}
		one.client.Alive()
		link.server.Sent(one.node.id, runID, 1)
	}
	return nil
}

// fetchFromNode brings objects to the link, if the node has them for the run.
func (w *simulation) fetchFromNode(ctx context.Context, link *linkLife, from peer.ID, runID uint64, ids []string, shown func(string)) error {
	for _, id := range ids {
		if err := w.transfer(ctx); err != nil {
			return err
		}
		one := w.node(from).now()
		if one == nil || one.alive() != nil || !one.node.plugged() {
			return errTransfer
		}
		has, err := one.store.HasObject(ctx, runID, id)
		if err != nil {
			return err
		}
		if !has {
			return objects.ErrRefused
		}
		if err := copyObject(ctx, id, one.owned, link.owned); err != nil {
			return err
		}
		shown(id)
		link.server.Received(from, runID, 1)
	}
	return nil
}

func copyObject(ctx context.Context, id string, from, to owned) error {
	if err := from.life.alive(); err != nil {
		return errTransfer
	}
	file, err := from.Open(id)
	if err != nil {
		return err
	}
	defer file.Close()
	return to.Put(ctx, id, file.Size(), file)
}

func (w *simulation) node(id peer.ID) *nodeSide {
	for _, n := range w.nodes {
		if n.id == id {
			return n
		}
	}
	w.t.Errorf("no node %s", id)
	return nil
}

// newSimulation makes a link, and nodes that are its members. Nothing runs yet.
func newSimulation(t *testing.T, seed uint64, dir string, tmpl templates) *simulation {
	w := &simulation{t: t, dice: newDice(seed), ledger: newLedger(t), faulty: true, back: make(map[any]time.Time)}
	identity := func() peer.ID {
		_, public, err := crypto.GenerateEd25519Key(w.dice)
		w.must(err)
		id, err := peer.IDFromPublicKey(public)
		w.must(err)
		return id
	}
	open := func(name string) *objects.Dir {
		d, err := objects.OpenDir(filepath.Join(dir, name), objects.DirOptions{})
		w.must(err)
		return d
	}
	w.link = &linkSide{w: w, id: identity(), disk: newDisk(t, filepath.Join(dir, "link"), tmpl.link), objects: open("link-objects"), host: &linkHost{}}
	for i := range simNodes {
		name := fmt.Sprintf("node%d", i)
		w.nodes = append(w.nodes, &nodeSide{
			w: w, id: identity(), disk: newDisk(t, filepath.Join(dir, name), tmpl.node), objects: open(name + "-objects"), up: make(chan struct{}),
		})
	}
	w.link.start()
	for _, n := range w.nodes {
		w.must(w.link.store.AddMember(t.Context(), state.Member{PeerID: n.id.String(), Role: join.RoleNode, AddedAt: time.Now(), AddedBy: "sim"}))
	}
	sum := sha256.Sum256(tmpl.fab)
	w.fab, w.fabHash = tmpl.fab, hex.EncodeToString(sum[:])
	return w
}
