package sessions

import (
	"context"
	"fmt"

	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// takeReplies is one worker: it has replies judged, and tells the node what became of them.
func (ps *peerSession) takeReplies() error {
	for {
		select {
		case <-ps.ctx.Done():
			return context.Cause(ps.ctx)
		case reply := <-ps.replies:
			if err := ps.takeReply(reply); err != nil {
				return err
			}
		}
	}
}

// takeReply hands one reply to the office. An error ends the session.
func (ps *peerSession) takeReply(reply *sessionpb.Reply) error {
	verdict, err := ps.server.cfg.Office.Answer(ps.ctx, ps.node, messages.Reply{
		Message: reply.GetMessage(), Tree: reply.GetTree(), Runtime: reply.GetClientappRuntimeSeconds(), Fetch: ps.fetch,
	})
	switch {
	case err != nil:
		return err
	case verdict.Kind == messages.Underway:
		return nil // sent twice; the first is acknowledged once it is stored
	case verdict.Kind == messages.Taken:
		ps.server.traffic.Keep(ps.ctx, verdict.RunID)
		return ps.ack(verdict.InstructionID, verdict.ReplyID, false, "")
	case verdict.InstructionID == "":
		return fmt.Errorf("the node sent a reply that answers nothing: %s", verdict.Reason)
	}
	log.Info("a reply was dropped", "node", ps.node.ID, "run", verdict.RunID, "message", verdict.InstructionID, "reason", verdict.Reason)
	return ps.ack(verdict.InstructionID, verdict.ReplyID, true, verdict.Reason)
}

// fetch has the node of this session show objects.
func (ps *peerSession) fetch(ctx context.Context, runID uint64, ids []string, shown func(id string)) error {
	return ps.server.cfg.Fetch(ctx, ps.peer, runID, ids, shown)
}

func (ps *peerSession) ack(instructionID, replyID string, dropped bool, detail string) error {
	return ps.send(&sessionpb.Frame{Body: &sessionpb.Frame_ReplyAck{ReplyAck: &sessionpb.ReplyAck{
		InstructionId: instructionID, ReplyId: replyID, Dropped: dropped, Detail: detail,
	}}})
}
