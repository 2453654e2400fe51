package sessions

import (
	"context"
	"fmt"

	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// takeReplies is one worker: it has replies judged, and tells the node what became of them.
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

// takeReply hands one reply to the office. An error ends the session.
func (one *peerSession) takeReply(reply *sessionpb.Reply) error {
	verdict, err := one.server.cfg.Office.Answer(one.ctx, one.node, messages.Reply{
		Message: reply.GetMessage(), Tree: reply.GetTree(), Runtime: reply.GetClientappRuntimeSeconds(), Fetch: one.fetch,
	})
	switch {
	case err != nil:
		return err
	case verdict.Kind == messages.Underway:
		return nil // sent twice; the first one is acknowledged when it is stored
	case verdict.Kind == messages.Taken:
		one.server.keepTraffic(one.ctx, verdict.RunID)
		return one.ack(verdict.InstructionID, verdict.ReplyID, false, "")
	case verdict.InstructionID == "":
		return fmt.Errorf("the node sent a reply that answers nothing: %s", verdict.Reason)
	}
	log.Info("a reply is dropped", "node", one.node.ID, "run", verdict.RunID, "message", verdict.InstructionID, "reason", verdict.Reason)
	return one.ack(verdict.InstructionID, verdict.ReplyID, true, verdict.Reason)
}

// fetch has the node of this session show objects.
func (one *peerSession) fetch(ctx context.Context, runID uint64, ids []string, shown func(id string)) error {
	return one.server.cfg.Fetch(ctx, one.peer, runID, ids, shown)
}

func (one *peerSession) ack(instructionID, replyID string, dropped bool, detail string) error {
	return one.send(&sessionpb.Frame{Body: &sessionpb.Frame_ReplyAck{ReplyAck: &sessionpb.ReplyAck{
		InstructionId: instructionID, ReplyId: replyID, Dropped: dropped, Detail: detail,
	}}})
}
