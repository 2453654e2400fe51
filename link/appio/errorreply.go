package appio

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"google.golang.org/protobuf/proto"
)

// typeSystem is the message type of errors that answer an instruction nobody knows.
const typeSystem = "system"

// reasons are the texts of generated errors; ServerApps show them to their users.
var reasons = map[state.AnswerKind]struct {
	code   int64
	reason string
}{
	state.InstructionUnknown: {flwr.ErrorMessageUnavailable, "Error: Message Unavailable - the SuperLink has no such message, or it has expired."},
	state.ReplyExpired:       {flwr.ErrorReplyUnavailable, "Error: Reply Message Unavailable - the reply came after its time to live."},
	state.NodeUnavailable:    {flwr.ErrorNodeUnavailable, "Error: Node Unavailable - the SuperNode has been away for longer than the grace period, or was removed."},
}

// errorReply makes the message that stands for a reply that will not come, stores it as
// an object so that the app can pull it, and gives the same one when asked again.
func (h *Host) errorReply(ctx context.Context, runID uint64, a state.Answer) (*flwrpb.Message, *flwrpb.ObjectTree, error) {
	if msg, known := h.errors.of(a.InstructionID); known {
		return msg, &flwrpb.ObjectTree{ObjectId: msg.GetMetadata().GetMessageId()}, nil
	}
	why, known := reasons[a.Kind]
	if !known {
		return nil, nil, fmt.Errorf("answer of unknown kind %d to %s", a.Kind, a.InstructionID)
	}
	md, err := replyMetadata(runID, a)
	if err != nil {
		return nil, nil, err
	}
	msg, content, id, err := object.ErrorReply(md, why.code, why.reason)
	if err != nil {
		return nil, nil, fmt.Errorf("make the error reply to %s: %w", a.InstructionID, err)
	}
	if err := h.store.RegisterObjects(ctx, runID, []string{id}); err != nil {
		return nil, nil, fmt.Errorf("register the error reply to %s: %w", a.InstructionID, err)
	}
	if err := h.objects.Put(ctx, id, int64(len(content)), bytes.NewReader(content)); err != nil {
		return nil, nil, fmt.Errorf("store the error reply to %s: %w", a.InstructionID, err)
	}
	if err := h.store.HoldObjects(ctx, runID, []string{id}); err != nil {
		return nil, nil, fmt.Errorf("give the run the error reply to %s: %w", a.InstructionID, err)
	}
	h.errors.add(runID, a.InstructionID, msg)
	return msg, &flwrpb.ObjectTree{ObjectId: id}, nil
}

// replyMetadata is that of the error: it comes from the SuperLink itself, and looks like a
// reply to the instruction, or to a message of type system when nothing is left of it.
func replyMetadata(runID uint64, a state.Answer) (*flwrpb.Metadata, error) {
	md := &flwrpb.Metadata{
		RunId: runID, SrcNodeId: flwr.NodeSuperLink, DstNodeId: flwr.NodeSuperLink, ReplyToMessageId: a.InstructionID,
		MessageType: typeSystem, CreatedAt: float64(time.Now().UnixMicro()) / 1e6,
	}
	if len(a.Instruction.Proto) == 0 {
		return md, nil
	}
	var instruction flwrpb.Message
	if err := proto.Unmarshal(a.Instruction.Proto, &instruction); err != nil {
		return nil, fmt.Errorf("decode instruction %s: %w", a.InstructionID, err)
	}
	md.MessageType = instruction.GetMetadata().GetMessageType()
	md.GroupId = instruction.GetMetadata().GetGroupId()
	return md, nil
}

// errorReplies are the generated messages that were not confirmed yet. Losing one is
// harmless: it is made anew, under another id.
type errorReplies struct {
	mu            sync.Mutex
	byInstruction map[string]errorEntry
	instructions  map[string]string // by id of the generated message
	order         []uint64          // runs with entries, oldest first
	byRun         map[uint64][]string
}

type errorEntry struct {
	runID uint64
	msg   *flwrpb.Message
}

func newErrorReplies() *errorReplies {
	return &errorReplies{
		byInstruction: make(map[string]errorEntry), instructions: make(map[string]string), byRun: make(map[uint64][]string),
	}
}

func (e *errorReplies) of(instruction string) (*flwrpb.Message, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	entry, known := e.byInstruction[instruction]
	return entry.msg, known
}

func (e *errorReplies) instructionOf(id string) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	instruction, known := e.instructions[id]
	return instruction, known
}

func (e *errorReplies) add(runID uint64, instruction string, msg *flwrpb.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.byInstruction) >= maxErrors {
		e.dropRunLocked(e.order[0])
	}
	if _, known := e.byRun[runID]; !known {
		e.order = append(e.order, runID)
	}
	e.byRun[runID] = append(e.byRun[runID], instruction)
	e.byInstruction[instruction] = errorEntry{runID, msg}
	e.instructions[msg.GetMetadata().GetMessageId()] = instruction
}

// drop forgets a confirmed message; the run's list keeps its place until the run ends.
func (e *errorReplies) drop(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.byInstruction, e.instructions[id])
	delete(e.instructions, id)
}

func (e *errorReplies) dropRun(runID uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropRunLocked(runID)
}

func (e *errorReplies) dropRunLocked(runID uint64) {
	for _, instruction := range e.byRun[runID] {
		entry := e.byInstruction[instruction]
		delete(e.instructions, entry.msg.GetMetadata().GetMessageId())
		delete(e.byInstruction, instruction)
	}
	delete(e.byRun, runID)
	for i, known := range e.order {
		if known == runID {
			e.order = append(e.order[:i], e.order[i+1:]...)
			break
		}
	}
}
