package message

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// FuzzParse feeds the parser what a stranger may send.
func FuzzParse(f *testing.F) {
	for _, p := range parsers {
		l := p.make()
		f.Add(l.raw(f), l.wire(f))
		l.extra, l.extraTree = groups(3), groups(3)
		f.Add(l.raw(f), l.wire(f))
		l.msg.Content, l.msg.Error = nil, &flwrpb.Error{Code: 2, Reason: "boom"}
		f.Add(l.raw(f), l.wire(f))
		l.msg.Content, l.msg.Error = recordNamed("arrays"), nil
		f.Add(l.raw(f), l.wire(f))
	}
	f.Fuzz(func(t *testing.T, raw, tree []byte) {
		for _, p := range parsers {
			m, err := p.parse(raw, tree)
			if err != nil {
				ruleOf(t, err)
				continue
			}
			holds(t, m, raw, tree)
		}
	})
}

// holds checks what is promised about a message that was accepted.
func holds(t interface {
	Helper()
	Errorf(string, ...any)
}, m *Message, raw, tree []byte) {
	t.Helper()
	if !bytes.Equal(m.Raw(), raw) || !bytes.Equal(m.Tree(), tree) {
		t.Errorf("the bytes have changed")
	}
	read := proto.UnmarshalOptions{RecursionLimit: pythonDepth}
	// The way a receiver reads it: inside the answer to a pull.
	pulled := encodeAnswer(raw, tree)
	var answer flwrpb.PullMessagesResponse
	if err := read.Unmarshal(pulled, &answer); err != nil {
		t.Errorf("its receiver cannot read it: %v", err)
	}
	var msg flwrpb.ReadableMessage
	if err := read.Unmarshal(raw, &msg); err != nil {
		t.Errorf("it cannot be decoded: %v", err)
	}
	if got := routingOf(&msg); got != m.Routing() {
		t.Errorf("decoded as %+v, taken as %+v", got, m.Routing())
	}
	var decoded flwrpb.ObjectTree
	if err := read.Unmarshal(tree, &decoded); err != nil {
		t.Errorf("its tree cannot be decoded: %v", err)
	}
	ids, err := object.PostOrder(&decoded, object.TreeLimits{})
	if err != nil || !slices.Equal(ids, m.Objects()) {
		t.Errorf("its tree has %v (%v), taken as %v", ids, err, m.Objects())
	}
}

func encodeAnswer(raw, tree []byte) []byte {
	b := append([]byte{}, appendField(nil, 2, raw)...)
	return appendField(b, 3, tree)
}

// The messages are wild, but more often well formed than those that a fuzzer finds.
func TestWhatIsTakenCanBeRead(t *testing.T) {
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		for _, p := range parsers {
			l := p.make()
			l.extra, l.extraTree = anyFields(t, "extra", 3), anyFields(t, "extra of the tree", 3)
			if rapid.Bool().Draw(t, "with records") {
				l.msg.Content = anyFields(t, "content", 4)
			}
			l.tree = anyTree(t, 5)
			l.tree.ObjectId = id
			raw, err := proto.Marshal(l.msg)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := proto.Marshal(l.tree)
			if err != nil {
				t.Fatal(err)
			}
			raw, tree = append(raw, l.extra...), append(tree, l.extraTree...)
			m, err := p.parse(raw, tree)
			if err == nil {
				taken++
				holds(t, m, raw, tree)
			}
		}
	})
	if taken == 0 {
		t.Error("nothing was accepted")
	}
}

// anyTree draws a tree of valid ids, which may repeat.
func anyTree(t *rapid.T, levels int) *flwrpb.ObjectTree {
	tree := &flwrpb.ObjectTree{ObjectId: rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "id")}
	if rapid.Bool().Draw(t, "shared") {
		tree.ObjectId = record
	}
	if levels > 1 {
		for range rapid.IntRange(0, 3).Draw(t, "children") {
			tree.Children = append(tree.Children, anyTree(t, levels-1))
		}
	}
	return tree
}

// anyFields draws well-formed fields, known and unknown, with groups.
func anyFields(t *rapid.T, label string, levels int) []byte {
	var b []byte
	for range rapid.IntRange(0, 3).Draw(t, label) {
		number := rapid.Int32Range(1, 30).Draw(t, "number")
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			b = appendVarint(b, number, rapid.Uint64().Draw(t, "value"))
		case 1:
			b = appendField(b, number, rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "bytes"))
		case 2:
			if levels > 1 {
				b = appendField(b, number, anyFields(t, "fields", levels-1))
			}
		case 3:
			b = append(b, groups(rapid.IntRange(0, maxNesting+3).Draw(t, "groups"))...)
		case 4:
			b = appendFixed(b, number, rapid.Uint64().Draw(t, "value"))
		}
	}
	return b
}
