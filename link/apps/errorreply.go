package apps

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/message"
	"github.com/rhizome-fl/rhizome/protocol/object"
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

// errorMessage stands in for a reply that will not come.
type errorMessage struct {
	instruction string
	id          string
	raw, tree   []byte // as in a reply
	content     []byte // of its object
}

// errorReplies makes the errors among the answers, by the ids of their instructions. They are
// stored as objects, so that the app can pull them, and are the same when asked for again. A
// request for thousands costs the disk that all runs share a few transactions and shared fsyncs.
func (h *Host) errorReplies(ctx context.Context, runID uint64, answers []state.Answer) (map[string]errorMessage, error) {
	found := make(map[string]errorMessage)
	var fresh []errorMessage
	for _, a := range answers {
		if a.Kind == state.Replied {
			continue
		}
		if e, known := h.errors.of(a.InstructionID); known {
			found[a.InstructionID] = e
			continue
		}
		e, err := newErrorMessage(runID, a)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, e)
	}
	if err := h.storeErrors(ctx, runID, fresh); err != nil {
		return nil, err
	}
	for _, e := range fresh {
		e.content = nil // it is on disk
		h.errors.add(runID, e)
		found[e.instruction] = e
	}
	return found, nil
}

func newErrorMessage(runID uint64, a state.Answer) (errorMessage, error) {
	why, known := reasons[a.Kind]
	if !known {
		return errorMessage{}, fmt.Errorf("answer of unknown kind %d to %s", a.Kind, a.InstructionID)
	}
	msg, content, id, err := object.ErrorReply(replyMetadata(runID, a), why.code, why.reason)
	if err != nil {
		return errorMessage{}, fmt.Errorf("make the error reply to %s: %w", a.InstructionID, err)
	}
	e := errorMessage{instruction: a.InstructionID, id: id, content: content}
	if e.raw, err = flwr.Marshal(msg); err != nil {
		return errorMessage{}, fmt.Errorf("encode the error reply to %s: %w", a.InstructionID, err)
	}
	if e.tree, err = flwr.Marshal(&flwrpb.ObjectTree{ObjectId: id}); err != nil {
		return errorMessage{}, fmt.Errorf("encode the error reply to %s: %w", a.InstructionID, err)
	}
	return e, nil
}

// storeErrors makes the run hold the errors.
func (h *Host) storeErrors(ctx context.Context, runID uint64, all []errorMessage) error {
	if len(all) == 0 {
		return nil
	}
	ids := make([]string, len(all))
	for i, e := range all {
		ids[i] = e.id
	}
	if err := h.store.RegisterObjects(ctx, runID, ids); err != nil {
		return fmt.Errorf("register %d error replies of run %d: %w", len(all), runID, unlessGone(err))
	}
	group, putting := errgroup.WithContext(ctx)
	group.SetLimit(errorWriters)
	for _, e := range all {
		group.Go(func() error {
			if err := h.objects.Put(putting, e.id, int64(len(e.content)), bytes.NewReader(e.content)); err != nil {
				return fmt.Errorf("store the error reply to %s: %w", e.instruction, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := h.store.HoldObjects(ctx, runID, ids); err != nil {
		return fmt.Errorf("give run %d its error replies: %w", runID, unlessGone(err))
	}
	return nil
}

// replyMetadata is the metadata of the error: it comes from the SuperLink itself, and looks like
// a reply to the instruction, or to a message of type system when nothing is left of that.
func replyMetadata(runID uint64, a state.Answer) *flwrpb.Metadata {
	md := &flwrpb.Metadata{
		RunId: runID, SrcNodeId: flwr.NodeSuperLink, DstNodeId: flwr.NodeSuperLink, ReplyToMessageId: a.InstructionID,
		MessageType: typeSystem, CreatedAt: float64(time.Now().UnixMicro()) / 1e6,
	}
	if len(a.Instruction.Proto) == 0 {
		return md
	}
	if instruction, err := message.Peek(a.Instruction.Proto); err == nil {
		md.MessageType, md.GroupId = instruction.Type, instruction.GroupID
	}
	return md
}

// errorReplies are the generated messages that have not been confirmed yet. Losing one is
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
	errorMessage
}

func newErrorReplies() *errorReplies {
	return &errorReplies{
		byInstruction: make(map[string]errorEntry), instructions: make(map[string]string), byRun: make(map[uint64][]string),
	}
}

func (e *errorReplies) of(instruction string) (errorMessage, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	entry, known := e.byInstruction[instruction]
	return entry.errorMessage, known
}

func (e *errorReplies) instructionOf(id string) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	instruction, known := e.instructions[id]
	return instruction, known
}

func (e *errorReplies) add(runID uint64, m errorMessage) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.byInstruction) >= maxErrors {
		e.dropRunLocked(e.order[0])
	}
	if _, known := e.byRun[runID]; !known {
		e.order = append(e.order, runID)
	}
	e.byRun[runID] = append(e.byRun[runID], m.instruction)
	e.byInstruction[m.instruction] = errorEntry{runID, m}
	e.instructions[m.id] = m.instruction
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
		delete(e.instructions, entry.id)
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
