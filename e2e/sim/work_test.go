package sim

import (
	"bytes"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// This file holds what users and ServerApps do with a link. When the link dies midway, they do
// not know whether it was done.

func (w *simulation) newRun() {
	link := w.linkNow()
	if link == nil {
		return
	}
	if err := link.owned.Put(link.ctx, w.fabHash, int64(len(w.fab)), bytes.NewReader(w.fab)); err != nil {
		return
	}
	made, err := link.store.CreateRun(link.ctx, state.NewRun{
		TaskType: task.TypeServerApp, FABID: "me/app", FABVersion: "1", FABHash: w.fabHash, Federation: state.FederationDefault, AccountID: state.AccountNone,
	})
	if err != nil || link.alive() != nil {
		return
	}
	w.runs = append(w.runs, &run{id: made.ID, confirming: make(map[string]state.AnswerKind)})
}

func (w *simulation) stopRun(r *run) {
	r.stopped = true
	link := w.linkNow()
	if link == nil {
		return
	}
	if err := link.store.FinishRun(link.ctx, r.id, task.Stopped, "by hand"); !errors.Is(err, state.ErrRunFinished) {
		w.unlessOver(link.life, "stop a run", err)
	}
}

// instruction is the routing of a message.
func instruction(run, node uint64) *flwrpb.Metadata {
	const hour = 3600
	return &flwrpb.Metadata{
		RunId: run, SrcNodeId: 1, DstNodeId: node, MessageType: "train", CreatedAt: float64(time.Now().UnixMicro()) / 1e6, Ttl: 24 * hour,
	}
}

// outgoing is an instruction that a ServerApp wants to send.
type outgoing struct {
	nodeID uint64
	*answer
}

// instruct gives a node something to do in a run.
func (w *simulation) instruct(r *run, nodeID uint64) {
	made, err := newAnswer(instruction(r.id, nodeID))
	w.must(err)
	r.unsent = append(r.unsent, outgoing{nodeID, made})
	w.ledger.count(func(c *counts) { c.instructions++ })
}

// push sends the instructions that a run has to send, as often as it takes.
func (w *simulation) push(r *run) {
	for len(r.unsent) > 0 {
		link := w.linkNow()
		if link == nil {
			return
		}
		err := w.pushOne(link, r, r.unsent[0])
		if link.alive() != nil {
			return // it may have arrived or not
		}
		w.unlessOver(link.life, "send an instruction", err)
		r.instructions = append(r.instructions, r.unsent[0].msg.GetMetadata().GetMessageId())
		r.unsent = r.unsent[1:]
	}
}

func (w *simulation) pushOne(link *linkLife, r *run, out outgoing) error {
	var ids []string
	for id := range out.objects {
		ids = append(ids, id)
	}
	ctx := link.ctx
	if err := link.store.RegisterObjects(ctx, r.id, ids); err != nil {
		return err
	}
	for id, content := range out.objects {
		if err := link.owned.Put(ctx, id, int64(len(content)), bytes.NewReader(content)); err != nil {
			return err
		}
	}
	if err := link.store.HoldObjects(ctx, r.id, ids); err != nil {
		return err
	}
	encoded, err := proto.Marshal(out.msg)
	w.must(err)
	tree, err := proto.Marshal(out.tree)
	w.must(err)
	md := out.msg.GetMetadata()
	refused, err := link.store.InsertInstructions(ctx, []state.Message{{
		ID: md.GetMessageId(), RunID: r.id, NodeID: out.nodeID, State: state.Waiting,
		Proto: encoded, Tree: tree, CreatedAt: md.GetCreatedAt(), TTL: md.GetTtl(),
	}})
	return errors.Join(append(refused, err)...)
}

// serverApps has the ServerApps ask for their replies, and confirm most of those that they get.
func (w *simulation) serverApps() {
	for _, r := range w.runs {
		if r.stopped {
			continue
		}
		w.push(r)
		link := w.linkNow()
		if link == nil {
			return
		}
		var open []string
		for _, id := range r.instructions {
			if !w.ledger.settled(id) {
				open = append(open, id)
			}
		}
		answers, err := link.store.Answers(link.ctx, r.id, open)
		if link.alive() != nil {
			return
		}
		w.unlessOver(link.life, "ask for replies", err)
		for _, a := range answers {
			w.take(link, r, a)
		}
	}
}

// take handles an answer as a ServerApp does.
func (w *simulation) take(link *linkLife, r *run, a state.Answer) {
	id := a.InstructionID
	switch a.Kind {
	case state.NoAnswerYet:
	case state.Replied:
		w.ledger.replied(id, a.Reply.ID)
		w.checkObjects(a.Reply)
		if w.dice.oneIn(3) {
			return // it will ask again
		}
		r.confirming[id] = a.Kind
		if err := link.store.ConfirmReply(link.ctx, r.id, a.Reply.ID); err == nil && link.alive() == nil {
			w.ledger.confirm(id)
		}
	case state.NodeUnavailable:
		r.confirming[id] = a.Kind
		if err := link.store.DropMessages(link.ctx, []string{id}, "confirmed"); err == nil && link.alive() == nil {
			w.ledger.fail(id)
		}
	default: // it is unknown: the link had confirmed, and died before it could say so
		switch r.confirming[id] {
		case state.Replied:
			w.ledger.confirm(id)
		case state.NodeUnavailable:
			w.ledger.fail(id)
		default:
			w.t.Errorf("instruction %.8s has got lost: answer of kind %d", id, a.Kind)
		}
	}
}

// checkObjects expects all objects of a delivered reply to be there.
func (w *simulation) checkObjects(reply state.Message) {
	var tree flwrpb.ObjectTree
	w.must(proto.Unmarshal(reply.Tree, &tree))
	ids, err := object.PostOrder(&tree, object.TreeLimits{})
	w.must(err)
	for _, id := range ids {
		if !w.link.objects.Has(id) {
			w.t.Errorf("object %.8s of the delivered reply %.8s is missing", id, reply.ID)
		}
	}
}
