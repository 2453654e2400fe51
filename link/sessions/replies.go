package sessions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
	"google.golang.org/protobuf/proto"
)

// unwanted is why a reply is dropped: trying again would not change it.
type unwanted struct{ reason string }

func (u unwanted) Error() string { return u.reason }

// takeReplies is one worker: it makes replies durable and acknowledges them.
func (one *peerSession) takeReplies() error {
	for {
		select {
		case <-one.ctx.Done():
			return context.Cause(one.ctx)
		case reply := <-one.replies:
			if err := one.takeReply(reply); err != nil {
				return err
			}
		}
	}
}

// takeReply stores one reply. An error ends the session.
func (one *peerSession) takeReply(reply *sessionpb.Reply) error {
	in, err := one.unpack(reply)
	if err != nil {
		return fmt.Errorf("the node sent a reply that can not be read: %w", err)
	}
	ctx, release, first := one.fetches.begin(one.ctx, in.Message.ReplyTo, in.Message.RunID)
	if !first {
		return nil // sent twice; the first one is acknowledged when it is stored
	}
	err = one.storeReply(ctx, in, runtimeOf(reply))
	ended := one.ctx.Err() == nil && ctx.Err() != nil
	// Before the acknowledgement: the node may say the same again as soon as it hears it,
	// and that must not be taken for a reply that is still on its way.
	release()
	var no unwanted
	switch {
	case err == nil:
		return one.ack(in.Message.ReplyTo, in.Message.ID, false, "")
	case errors.As(err, &no):
		log.Info("a reply is dropped", "node", one.node.ID, "run", in.Message.RunID, "message", in.Message.ReplyTo, "reason", no.reason)
		return one.ack(in.Message.ReplyTo, in.Message.ID, true, no.reason)
	case ended:
		return one.ack(in.Message.ReplyTo, in.Message.ID, true, "the run is finished")
	default:
		return err
	}
}

func (one *peerSession) unpack(reply *sessionpb.Reply) (messages.Incoming, error) {
	var msg flwrpb.Message
	var tree flwrpb.ObjectTree
	if err := proto.Unmarshal(reply.GetMessage(), &msg); err != nil {
		return messages.Incoming{}, fmt.Errorf("message: %w", err)
	}
	if err := proto.Unmarshal(reply.GetTree(), &tree); err != nil {
		return messages.Incoming{}, fmt.Errorf("object tree: %w", err)
	}
	in, err := messages.Unpack(&msg, &tree, one.node.ID)
	if err != nil {
		return messages.Incoming{}, err
	}
	if in.Message.ReplyTo == "" {
		return messages.Incoming{}, errors.New("it answers no message")
	}
	in.Message.Proto = reply.GetMessage() // as the app wrote it, unknown fields included
	return in, nil
}

func runtimeOf(reply *sessionpb.Reply) time.Duration {
	seconds := reply.GetClientappRuntimeSeconds()
	if !(seconds > 0 && seconds < 1e9) {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// storeReply returns nil when the reply and all its objects are durable.
func (one *peerSession) storeReply(ctx context.Context, in messages.Incoming, runtime time.Duration) error {
	store := one.server.cfg.Store
	m := in.Message
	m.State, m.Brought = state.Waiting, in.ObjectIDs
	if known, err := store.Message(ctx, m.ID); err == nil && known.ReplyTo == m.ReplyTo && known.State != state.Gathering {
		return nil // stored before; the acknowledgement was lost
	}
	instruction, err := store.Message(ctx, m.ReplyTo)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return unwanted{"nobody waits for this reply any more"}
	case err != nil:
		return fmt.Errorf("look up the instruction of reply %s: %w", m.ID, err)
	case instruction.NodeID != one.node.ID || instruction.RunID != m.RunID || instruction.ReplyTo != "":
		return unwanted{"the instruction was not given to this node"}
	}
	if err := store.RegisterObjects(ctx, m.RunID, in.ObjectIDs); err != nil {
		return storeError("register objects of reply", m.ID, err)
	}
	if err := one.fetchMissing(ctx, in); err != nil {
		return err
	}
	if err := store.InsertReply(ctx, m, runtime); err != nil {
		return storeError("store reply", m.ID, err)
	}
	one.server.keepTraffic(ctx, m.RunID)
	return nil
}

// storeError tells what is final from what is worth another session.
func storeError(doing, id string, err error) error {
	if errors.Is(err, state.ErrNotFound) || errors.Is(err, state.ErrRunFinished) {
		return unwanted{"nobody waits for this reply any more"}
	}
	if errors.Is(err, state.ErrNotAllowed) {
		return unwanted{"another reply to the same instruction was stored before"}
	}
	return fmt.Errorf("%s %s: %w", doing, id, err)
}

// fetchMissing has the node show the objects that the run does not hold, as often as it
// takes while the session lives. A transfer goes on where it stopped.
func (one *peerSession) fetchMissing(ctx context.Context, in messages.Incoming) error {
	missing, err := one.missing(ctx, in)
	if err != nil || len(missing) == 0 {
		return err
	}
	pause := retry.Between(fetchPauseFirst, fetchPauseMost)
	for {
		err := one.fetchOnce(ctx, in.Message.RunID, missing)
		if err == nil {
			return nil
		}
		if objects.Permanent(err) {
			return one.giveUp(ctx, in, err)
		}
		log.Info("objects of a reply did not come; trying again", "node", one.node.ID, "run", in.Message.RunID, "message", in.Message.ReplyTo, "reply", in.Message.ID, "err", err)
		if !pause.Wait(ctx) {
			return fmt.Errorf("fetch reply %s: %w", in.Message.ID, context.Cause(ctx))
		}
		if missing, err = one.missing(ctx, in); err != nil {
			return err
		}
	}
}

// missing are the objects of a reply that the run does not hold, or that are gone.
func (one *peerSession) missing(ctx context.Context, in messages.Incoming) ([]string, error) {
	missing, err := one.server.cfg.Store.UnheldObjects(ctx, in.Message.RunID, in.ObjectIDs)
	if err != nil {
		return nil, fmt.Errorf("look what reply %s lacks: %w", in.Message.ID, err)
	}
	if len(missing) == len(in.ObjectIDs) {
		return missing, nil
	}
	unheld := make(map[string]struct{}, len(missing))
	for _, id := range missing {
		unheld[id] = struct{}{}
	}
	for _, id := range in.ObjectIDs {
		if _, listed := unheld[id]; !listed && !one.server.cfg.Objects.Has(id) {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// fetchOnce is one try. What the node has shown is noted now and then, so that it need not
// show it again after a cut or a restart of the link.
func (one *peerSession) fetchOnce(ctx context.Context, runID uint64, ids []string) error {
	var mu sync.Mutex
	var shown []string
	note := func(ctx context.Context) error {
		mu.Lock()
		ids := shown
		shown = nil
		mu.Unlock()
		if len(ids) == 0 {
			return nil
		}
		return one.server.cfg.Store.HoldObjects(ctx, runID, ids)
	}
	noting, stop := context.WithCancel(ctx)
	var notes sync.WaitGroup
	notes.Go(func() {
		ticker := time.NewTicker(noteEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-noting.Done():
				return
			}
			if err := note(noting); err != nil && noting.Err() == nil {
				log.Warn("what a node has sent could not be noted", "node", one.node.ID, "run", runID, "err", err)
			}
		}
	})
	err := one.server.cfg.Fetch(ctx, one.peer, runID, ids, func(id string) {
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, id)
	})
	stop()
	notes.Wait()
	if err != nil {
		err = errors.Join(err, note(context.WithoutCancel(ctx)))
	}
	return err // without one, InsertReply notes them all
}

// giveUp drops an instruction whose reply can never be had, so that the ServerApp is told
// instead of waiting for its time to live.
func (one *peerSession) giveUp(ctx context.Context, in messages.Incoming, why error) error {
	reason := fmt.Sprintf("node %d (%s) could not deliver the objects of its reply: %v", one.node.ID, one.node.Name, why)
	err := one.server.cfg.Store.DropMessages(ctx, []string{in.Message.ReplyTo}, reason)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("drop instruction %s: %w", in.Message.ReplyTo, err)
	}
	return unwanted{reason}
}

func (one *peerSession) ack(instructionID, replyID string, dropped bool, detail string) error {
	return one.send(&sessionpb.Frame{Body: &sessionpb.Frame_ReplyAck{ReplyAck: &sessionpb.ReplyAck{
		InstructionId: instructionID, ReplyId: replyID, Dropped: dropped, Detail: detail,
	}}})
}
