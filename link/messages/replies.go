package messages

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/message"
)

// Reply is a node's reply as it came.
type Reply struct {
	Message, Tree []byte  // flwr.proto.Message and flwr.proto.ObjectTree
	Runtime       float64 // seconds that the ClientApp worked
	// Fetch brings the objects that are missing. It is nil if the node pushes them.
	Fetch Fetch
}

// Answer takes a node's reply to one of its instructions, whatever road it came by. An error
// means that trying again may help, and that nothing has changed.
func (o *Office) Answer(ctx context.Context, node state.Node, reply Reply) (Verdict, error) {
	says, err := message.Peek(reply.Message)
	if err != nil {
		return Verdict{Kind: Refused, Reason: err.Error()}, nil // what it answers cannot be known
	}
	verdict := Verdict{InstructionID: says.ReplyTo, ReplyID: says.ID, RunID: says.RunID}
	ended := func(kind Kind, reason string) (Verdict, error) {
		verdict.Kind, verdict.Reason = kind, reason
		return verdict, nil
	}
	instruction, err := o.store.Message(ctx, says.ReplyTo)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return ended(Unwanted, "nobody is waiting for this reply any more")
	case err != nil:
		return Verdict{}, fmt.Errorf("look up the instruction of reply %s: %w", says.ID, err)
	case instruction.NodeID != node.ID || instruction.ReplyTo != "":
		return ended(Unwanted, "the instruction was not given to this node")
	}
	inc, err := parseReply(reply, instruction)
	var broken *message.Error
	switch {
	case errors.As(err, &broken) && broken.Rule == message.RuleRouting:
		return ended(Unwanted, broken.Error())
	case err == nil:
		verdict.Missing, err = o.keepReply(ctx, node, inc, message.Runtime(reply.Runtime), reply.Fetch)
	}
	var no final
	switch {
	case err == nil:
		return ended(Taken, "")
	case errors.Is(err, errUnderway):
		return ended(Underway, "")
	case errors.Is(err, errRunFinished), errors.Is(err, state.ErrRunFinished):
		return ended(Unwanted, "the run is finished")
	case errors.Is(err, state.ErrNotFound):
		return ended(Unwanted, "nobody is waiting for this reply any more")
	case errors.Is(err, state.ErrNotAllowed):
		return ended(Unwanted, "another reply to the same instruction was stored before")
	case errors.As(err, &broken), errors.As(err, &no), errors.Is(err, state.ErrTooMany):
		return o.refuse(ctx, node, instruction, verdict, err)
	}
	return Verdict{}, err
}

// final is the reason why the objects of a reply can never be had.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// parseReply checks a reply against the rules. What the reply is about is taken from its
// instruction, as that is on disk.
func parseReply(reply Reply, instruction state.Message) (incoming, error) {
	asked, err := message.Peek(instruction.Proto)
	if err != nil {
		return incoming{}, fmt.Errorf("instruction %s as it was stored: %w", instruction.ID, err)
	}
	// The columns decide: the instruction was stored under them.
	asked.ID, asked.RunID, asked.Destination = instruction.ID, instruction.RunID, instruction.NodeID
	m, err := message.ParseReply(reply.Message, reply.Tree, message.Answered{Instruction: asked, Node: instruction.NodeID})
	if err != nil {
		return incoming{}, err
	}
	return of(m), nil
}

// keepReply makes a reply durable. With fetch it returns once the reply's objects are durable,
// too; without, once it is known which of them are missing.
func (o *Office) keepReply(ctx context.Context, node state.Node, inc incoming, runtime time.Duration, fetch Fetch) (missing []string, err error) {
	if fetch != nil {
		return nil, o.fetchReply(ctx, node, inc, runtime, fetch)
	}
	runID := inc.message.RunID
	prepared, err := o.prepare(ctx, runID, inc)
	if err != nil {
		return nil, err
	}
	m := prepared[0]
	if err := o.store.InsertReply(ctx, m, runtime); err != nil {
		return nil, fmt.Errorf("store reply %s: %w", m.ID, err)
	}
	return o.await(ctx, runID, inc)
}

// refuse refuses the only reply that a node has to an instruction of its own: the instruction is
// dropped, so that its ServerApp is told instead of waiting for the time to live to end.
func (o *Office) refuse(ctx context.Context, node state.Node, instruction state.Message, verdict Verdict, why error) (Verdict, error) {
	answered, err := o.store.Answered(ctx, instruction.RunID, []string{instruction.ID})
	if err != nil {
		return Verdict{}, fmt.Errorf("look up another reply to %s: %w", instruction.ID, err)
	}
	verdict.Reason = fmt.Sprintf("%s sent a reply that cannot be taken: %v", named(node), why)
	if len(answered) > 0 { // another reply was taken, and stays
		verdict.Kind = Unwanted
		return verdict, nil
	}
	verdict.Kind = Refused
	return verdict, o.GiveUp(ctx, instruction.ID, verdict.Reason)
}

func named(node state.Node) string {
	if node.Name == "" {
		return fmt.Sprintf("node %d", node.ID)
	}
	return fmt.Sprintf("node %d (%s)", node.ID, node.Name)
}
