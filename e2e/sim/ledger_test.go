package sim

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// ledger records what anybody has seen, and complains when it does not fit together.
type ledger struct {
	t testing.TB

	mu        sync.Mutex
	nodeIDs   map[peer.ID]uint64
	acked     map[string]string // reply that the link has acknowledged, by instruction
	delivered map[string]string // reply that the ServerApp got, by instruction
	confirmed map[string]bool   // instructions whose reply the ServerApp has confirmed
	failed    map[string]bool   // instructions for which the ServerApp got an error instead
	over      map[nodeRun]bool  // runs that a node knows to have ended
	counts    counts
}

type nodeRun struct {
	node peer.ID
	run  uint64
}

// counts show that a simulation has really done something.
type counts struct{ instructions, starts, acks, replies, errors, cancels int }

func newLedger(t testing.TB) *ledger {
	return &ledger{
		t: t, nodeIDs: make(map[peer.ID]uint64), acked: make(map[string]string), delivered: make(map[string]string),
		confirmed: make(map[string]bool), failed: make(map[string]bool), over: make(map[nodeRun]bool),
	}
}

// sent looks at a frame that the link writes to a node.
func (l *ledger) sent(to peer.ID, data []byte) {
	_, skip := binary.Uvarint(data)
	var frame sessionpb.Frame
	if err := proto.Unmarshal(data[skip:], &frame); err != nil {
		l.t.Errorf("the link writes what is no frame: %v", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch body := frame.GetBody().(type) {
	case *sessionpb.Frame_Welcome:
		id := body.Welcome.GetNodeId()
		if before := l.nodeIDs[to]; before != 0 && before != id {
			l.t.Errorf("the id of a node changed from %d to %d", before, id)
		}
		l.nodeIDs[to] = id
	case *sessionpb.Frame_ReplyAck:
		if body.ReplyAck.GetDropped() {
			return
		}
		instruction, reply := body.ReplyAck.GetInstructionId(), body.ReplyAck.GetReplyId()
		if before := l.acked[instruction]; before != "" && before != reply {
			l.t.Errorf("two replies to %.8s were acknowledged: %.8s and %.8s", instruction, before, reply)
		}
		l.acked[instruction] = reply
		l.counts.acks++
	}
}

func (l *ledger) count(add func(*counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	add(&l.counts)
}

// nodeID is the id that a node was given, or 0 before that.
func (l *ledger) nodeID(p peer.ID) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodeIDs[p]
}

// replied records a reply that the ServerApp was given.
func (l *ledger) replied(instruction, reply string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before := l.delivered[instruction]; before != "" && before != reply {
		l.t.Errorf("%.8s got two replies: %.8s and %.8s", instruction, before, reply)
	}
	if l.confirmed[instruction] {
		l.t.Errorf("the reply to %.8s was delivered again after it was confirmed", instruction)
	}
	l.delivered[instruction] = reply
	l.counts.replies++
}

func (l *ledger) confirm(instruction string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirmed[instruction] = true
}

func (l *ledger) fail(instruction string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if reply := l.delivered[instruction]; reply != "" {
		l.t.Errorf("%.8s has failed after its reply %.8s was delivered", instruction, reply)
	}
	l.failed[instruction] = true
	l.counts.errors++
}

// settled reports whether the ServerApp has its answer.
func (l *ledger) settled(instruction string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.confirmed[instruction] || l.failed[instruction]
}

// cancelled records that a node has dropped a run.
func (l *ledger) cancelled(node peer.ID, run uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over[nodeRun{node, run}] = true
	l.counts.cancels++
}

// started records that a node has handed out a task.
func (l *ledger) started(node peer.ID, run uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over[nodeRun{node, run}] {
		l.t.Errorf("a node has started an app for run %d after it was told that the run has ended", run)
	}
	l.counts.starts++
}

// checkDelivered checks at the end that no acknowledged reply is lost. It leaves out the
// instructions of stopped runs, and those for which the ServerApp had an error before.
func (l *ledger) checkDelivered(stopped func(instruction string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for instruction, reply := range l.acked {
		if l.failed[instruction] || stopped(instruction) {
			continue
		}
		if got := l.delivered[instruction]; got != reply {
			l.t.Errorf("reply %.8s to %.8s was acknowledged, and the ServerApp got %q", reply, instruction, got)
		}
	}
}
