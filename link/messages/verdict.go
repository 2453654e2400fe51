package messages

// Kind is what became of a reply.
type Kind int

// The kinds of verdicts. That it is worth trying again is an error beside the verdict.
const (
	// Taken: the reply is on disk, and what is not Missing of its objects.
	Taken Kind = iota + 1
	// Refused for good: it breaks a rule, or its objects cannot be had. Its ServerApp has
	// been told that no reply will come.
	Refused
	// Unwanted: nobody waits for it, or it is not the node's to give. Nothing has changed.
	Unwanted
	// Underway: the reply to this instruction is being taken already; that it was taken is
	// said once.
	Underway
)

// Verdict on a reply. It is the same on whatever road the reply came.
type Verdict struct {
	Kind   Kind
	Reason string // why it was not taken
	// What the reply says of itself; empty if it cannot be read.
	InstructionID, ReplyID string
	RunID                  uint64
	// Missing are the objects that the sender is to push, in order, if there is nobody who
	// fetches them.
	Missing []string
}
