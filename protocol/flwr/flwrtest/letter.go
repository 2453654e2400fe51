package flwrtest

import (
	"testing"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// Letter is a message as its sender pushes it: with its object tree, and the content of each object
// by id.
type Letter struct {
	Message *flwrpb.Message
	Tree    *flwrpb.ObjectTree
	Objects map[string][]byte
}

// ID of the message.
func (l Letter) ID() string { return l.Message.GetMetadata().GetMessageId() }

// NewLetter makes a message with the given metadata, which gets its id, and a single record of some
// kind as its content.
func NewLetter(t testing.TB, md *flwrpb.Metadata, kind string, body []byte) Letter {
	t.Helper()
	record, recordID, err := object.Build(kind, nil, body)
	if err != nil {
		t.Fatal(err)
	}
	msg := &flwrpb.Message{Metadata: md, Content: []byte{}}
	content, id, err := object.BuildMessage(msg, recordID)
	if err != nil {
		t.Fatal(err)
	}
	md.MessageId = id
	return Letter{
		Message: msg,
		Tree:    &flwrpb.ObjectTree{ObjectId: id, Children: []*flwrpb.ObjectTree{{ObjectId: recordID}}},
		Objects: map[string][]byte{id: content, recordID: record},
	}
}
