package message

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// Message is an instruction or a reply that was checked against the rules. It does not change.
type Message struct {
	routing Routing
	raw     []byte
	tree    []byte
	objects []string
}

// Routing is what a message says about its route.
type Routing struct {
	ID, ReplyTo         string
	RunID               uint64
	Source, Destination uint64 // node ids; the SuperLink is [flwr.NodeSuperLink]
	GroupID, Type       string
	CreatedAt, TTL      float64 // Unix seconds by the clock of the sender, and seconds
}

// Addressed is what the receiver of an instruction knows about it.
type Addressed struct {
	RunID uint64
	// Node is the node that the instruction is for; 0 if only the instruction says so.
	Node uint64
	// Now decides which instructions have expired. Zero leaves that to the SuperLink, since the
	// clock of a node may be wrong.
	Now time.Time
}

// Answered is what the receiver of a reply knows about it.
type Answered struct {
	// Instruction is the instruction that the reply answers.
	Instruction Routing
	// Node is the node that sent the reply.
	Node uint64
}

// ParseInstruction parses an instruction: raw is a flwr.proto.Message, tree the
// flwr.proto.ObjectTree of its objects. It keeps both slices. Errors are of type [*Error].
func ParseInstruction(raw, tree []byte, known Addressed) (*Message, error) {
	return parse(raw, tree, func(r Routing) error {
		if err := checkInstructionRouting(r, known); err != nil {
			return err
		}
		return checkInstructionTime(r, known.Now)
	})
}

// ParseReply parses a reply; see [ParseInstruction]. An error of [RuleRouting] says that the
// reply contradicts what is known: it is not the reply to this instruction.
func ParseReply(raw, tree []byte, known Answered) (*Message, error) {
	return parse(raw, tree, func(r Routing) error {
		if err := checkReplyRouting(r, known); err != nil {
			return err
		}
		return checkReplyTime(r)
	})
}

// Peek reads what a message says about its route, so that the caller can look up what is known
// about it. The bytes are counted before they are decoded, but the rules are not applied.
func Peek(raw []byte) (Routing, error) {
	msg, err := decode(raw)
	if err != nil {
		return Routing{}, err
	}
	return routingOf(msg), nil
}

// parse applies the rules that instructions and replies share, and those of the given kind.
func parse(raw, tree []byte, ofKind func(Routing) error) (*Message, error) {
	msg, err := decode(raw)
	if err != nil {
		return nil, err
	}
	if msg.GetMetadata() == nil {
		return nil, broken(RuleReadable, "it has no metadata")
	}
	routing := routingOf(msg)
	if err := ofKind(routing); err != nil {
		return nil, err
	}
	if err := checkLabels(routing); err != nil {
		return nil, err
	}
	if err := checkBody(msg); err != nil {
		return nil, err
	}
	objects, err := readTree(tree)
	if err != nil {
		return nil, err
	}
	if err := checkRoot(routing, objects); err != nil {
		return nil, err
	}
	return &Message{routing: routing, raw: raw, tree: tree, objects: objects}, nil
}

// decode reads a message once its size and its shape on the wire are known to be harmless.
func decode(raw []byte) (*flwrpb.ReadableMessage, error) {
	if len(raw) > maxRaw {
		return nil, broken(RuleSize, "it has %d bytes; at most %d are allowed", len(raw), maxRaw)
	}
	msg := &flwrpb.ReadableMessage{}
	if err := countFields(raw, msg.ProtoReflect().Descriptor()); err != nil {
		return nil, err
	}
	if err := (proto.UnmarshalOptions{RecursionLimit: pythonDepth}).Unmarshal(raw, msg); err != nil {
		return nil, broken(RuleReadable, "it cannot be read: %w", err)
	}
	return msg, nil
}

func routingOf(msg *flwrpb.ReadableMessage) Routing {
	md := msg.GetMetadata()
	return Routing{
		ID: md.GetMessageId(), ReplyTo: md.GetReplyToMessageId(), RunID: md.GetRunId(),
		Source: md.GetSrcNodeId(), Destination: md.GetDstNodeId(),
		GroupID: md.GetGroupId(), Type: md.GetMessageType(), CreatedAt: md.GetCreatedAt(), TTL: md.GetTtl(),
	}
}

// Routing returns the routing facts. Those of a reply agree with its instruction.
func (m *Message) Routing() Routing { return m.routing }

// ID returns the id of the message, which is the id of its Message object.
func (m *Message) ID() string { return m.routing.ID }

// RunID returns the run that the message belongs to.
func (m *Message) RunID() uint64 { return m.routing.RunID }

// Node returns the node at the other end from the SuperLink: the destination of an instruction,
// the source of a reply.
func (m *Message) Node() uint64 {
	if m.routing.Source == flwr.NodeSuperLink {
		return m.routing.Destination
	}
	return m.routing.Source
}

// Raw returns the flwr.proto.Message as its sender wrote it. It must not be changed.
func (m *Message) Raw() []byte { return m.raw }

// Tree returns the flwr.proto.ObjectTree as its sender wrote it. It must not be changed.
func (m *Message) Tree() []byte { return m.tree }

// Objects returns the ids of the tree, each once, children before parents and the message
// itself last. They must not be changed.
func (m *Message) Objects() []string { return m.objects }
