package messages

// Kind is what became of a reply.
type Kind int

// The kinds of verdicts. That a retry may help is said by an error beside the verdict.
const (
	// Taken: the reply is on disk, and so are its objects except those in Missing.
	Taken Kind = iota + 1
	// Refused for good: it breaks a rule, or its objects cannot be had. Its ServerApp has been told
	// that no reply will come.
	Refused
	// Unwanted: nobody is waiting for it, or it is not the node's to give. Nothing has changed.
	Unwanted
	// Underway: a reply to this instruction is already being taken; that it was taken is reported
	// only once.
	Underway
)

// Verdict on a reply. It is the same whatever road the reply came by.
type Verdict struct {
	Kind   Kind
	Reason string // why it was not taken
	// What the reply says of itself; empty if it cannot be read.
	InstructionID, ReplyID string
	RunID                  uint64
	// Missing are the objects that the sender is to push, in order, if there is nobody to fetch
	// them.
	Missing []string
}
