package object

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// TypeMessage is the type of Message objects.
const TypeMessage = "Message"

// BuildMessage makes the Message object of a routing message: its metadata without the
// message id, its error if it carries one, and never its content, which is in children.
// The id that it returns is the message id.
func BuildMessage(msg *flwrpb.Message, children ...string) (content []byte, id string, err error) {
	md := proto.CloneOf(msg.GetMetadata())
	if md == nil {
		return nil, "", errors.New("build Message object: the message has no metadata")
	}
	md.MessageId = ""
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&flwrpb.Message{Metadata: md, Error: msg.GetError()})
	if err != nil {
		return nil, "", fmt.Errorf("build Message object: %w", err)
	}
	return Build(TypeMessage, children, body)
}

// ErrorReply makes a message that carries an error instead of content, and its object.
// reply is the metadata of the reply itself, not of the instruction (see [ReplyTo]): it
// must name the message that it answers. The message id is computed and set in msg; reply is
// left unchanged. The tree of the message is its id without children.
func ErrorReply(reply *flwrpb.Metadata, code int64, reason string) (msg *flwrpb.Message, content []byte, id string, err error) {
	if reply.GetReplyToMessageId() == "" {
		return nil, nil, "", errors.New("build error reply: the metadata does not say which message it answers")
	}
	msg = &flwrpb.Message{
		Metadata: proto.CloneOf(reply),
		Error:    &flwrpb.Error{Code: code, Reason: reason},
	}
	if content, id, err = BuildMessage(msg); err != nil {
		return nil, nil, "", err
	}
	msg.Metadata.MessageId = id
	return msg, content, id, nil
}

// ReplyTo returns the metadata of a reply to an instruction, made at the given time: the way
// back, and a lifetime that ends when the instruction's does (never negative). Callers that
// answer in another's name set source and destination themselves.
func ReplyTo(instruction *flwrpb.Metadata, at time.Time) *flwrpb.Metadata {
	now := float64(at.UnixMicro()) / 1e6
	return &flwrpb.Metadata{
		RunId:            instruction.GetRunId(),
		SrcNodeId:        instruction.GetDstNodeId(),
		DstNodeId:        instruction.GetSrcNodeId(),
		ReplyToMessageId: instruction.GetMessageId(),
		GroupId:          instruction.GetGroupId(),
		MessageType:      instruction.GetMessageType(),
		CreatedAt:        now,
		Ttl:              max(instruction.GetTtl()-(now-instruction.GetCreatedAt()), 0),
	}
}
