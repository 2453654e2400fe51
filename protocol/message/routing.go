package message

import "github.com/rhizome-fl/rhizome/protocol/flwr"

func checkInstructionRouting(r Routing, known Addressed) error {
	switch {
	case r.RunID != known.RunID:
		return broken(RuleRouting, "it belongs to run %d", r.RunID)
	case r.Source != flwr.NodeSuperLink:
		return broken(RuleRouting, "its source is node %d, not the SuperLink", r.Source)
	case r.Destination == flwr.NodeSuperLink:
		return broken(RuleRouting, "its destination is the SuperLink")
	case known.Node != 0 && r.Destination != known.Node:
		return broken(RuleRouting, "its destination is node %d", r.Destination)
	case r.ReplyTo != "":
		return broken(RuleRouting, "it is a reply")
	}
	return nil
}

// checkReplyRouting compares a reply with its instruction, since a node that says something
// else could reply in the name of another node, or in another run. The group id is not part of
// a message's route: an app may set it to whatever it likes in its reply, and the ServerApp of a
// stock SuperLink gets it unchanged.
func checkReplyRouting(r Routing, known Answered) error {
	instruction := known.Instruction
	switch {
	case instruction.ReplyTo != "":
		return broken(RuleRouting, "it answers a reply")
	case instruction.Destination != known.Node:
		return broken(RuleRouting, "the instruction was given to another node")
	case r.ReplyTo == "":
		return broken(RuleRouting, "it answers no message")
	case r.ReplyTo != instruction.ID:
		return broken(RuleRouting, "it answers %.80q", r.ReplyTo)
	case r.RunID != instruction.RunID:
		return broken(RuleRouting, "it belongs to run %d, its instruction to run %d", r.RunID, instruction.RunID)
	case r.Source != known.Node || r.Destination != instruction.Source:
		return broken(RuleRouting, "it goes from node %d to node %d", r.Source, r.Destination)
	}
	return nil
}
