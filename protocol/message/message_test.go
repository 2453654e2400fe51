package message

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

const (
	run  = 7
	node = 42
)

var (
	now    = time.Unix(1_800_000_000, 0)
	id     = strings.Repeat("a", 64)
	record = strings.Repeat("b", 64)
	asked  = strings.Repeat("c", 64)
)

// letter is a message for a test to spoil.
type letter struct {
	msg  *flwrpb.Message
	tree *flwrpb.ObjectTree
	// These follow the encoded message and the encoded tree.
	extra, extraTree []byte
}

func (l *letter) raw(t testing.TB) []byte  { return append(encode(t, l.msg), l.extra...) }
func (l *letter) wire(t testing.TB) []byte { return append(encode(t, l.tree), l.extraTree...) }

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newLetter(md *flwrpb.Metadata) *letter {
	md.MessageId, md.RunId = id, run
	return &letter{
		msg:  &flwrpb.Message{Metadata: md, Content: []byte{}},
		tree: &flwrpb.ObjectTree{ObjectId: id, Children: []*flwrpb.ObjectTree{{ObjectId: record}}},
	}
}

func newInstruction() *letter {
	return newLetter(&flwrpb.Metadata{
		SrcNodeId: 1, DstNodeId: node, GroupId: "3", MessageType: "train", CreatedAt: float64(now.Unix()) - 10, Ttl: 60,
	})
}

func newReply() *letter {
	return newLetter(&flwrpb.Metadata{
		SrcNodeId: node, DstNodeId: 1, ReplyToMessageId: asked, GroupId: "3", MessageType: "train",
		CreatedAt: float64(now.Unix()), Ttl: 50,
	})
}

func theInstruction() Routing {
	return Routing{ID: asked, RunID: run, Source: 1, Destination: node, GroupID: "3", Type: "train"}
}

// parsers holds a parser for each kind of letter.
var parsers = map[string]struct {
	make  func() *letter
	parse func(raw, tree []byte) (*Message, error)
}{
	"instruction": {newInstruction, func(raw, tree []byte) (*Message, error) {
		return ParseInstruction(raw, tree, Addressed{RunID: run, Node: node, Now: now})
	}},
	"reply": {newReply, func(raw, tree []byte) (*Message, error) {
		return ParseReply(raw, tree, Answered{Instruction: theInstruction(), Node: node})
	}},
}

func TestWhatComesInGoesOut(t *testing.T) {
	for kind, p := range parsers {
		l := p.make()
		l.extra = []byte{0xfa, 0x3e, 2, 'h', 'i'}
		l.extraTree = []byte{0xfa, 0x3e, 2, 'h', 'o'}
		raw, tree := l.raw(t), l.wire(t)
		m, err := p.parse(raw, tree)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if !bytes.Equal(m.Raw(), l.raw(t)) || !bytes.Equal(m.Tree(), l.wire(t)) {
			t.Errorf("%s: the bytes have changed", kind)
		}
		if m.ID() != id || m.RunID() != run || m.Node() != node || m.Routing().GroupID != "3" {
			t.Errorf("%s: read as %+v", kind, m.Routing())
		}
		if got := m.Objects(); len(got) != 2 || got[0] != record || got[1] != id {
			t.Errorf("%s: objects %v", kind, got)
		}
	}
}

// TestRules tries the rules that hold for both kinds.
func TestRules(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*letter)
		want  Rule // empty: it is taken
	}{
		"as it is":            {func(*letter) {}, ""},
		"an error":            {func(l *letter) { l.msg.Content, l.msg.Error = nil, &flwrpb.Error{Code: 2} }, ""},
		"no metadata":         {func(l *letter) { l.msg.Metadata = nil }, RuleReadable},
		"no bytes":            {func(l *letter) { l.msg = &flwrpb.Message{} }, RuleReadable},
		"not protobuf":        {func(l *letter) { l.extra = []byte{0x08, 0xff} }, RuleReadable},
		"a group's wrong end": {func(l *letter) { l.extra = []byte{0x7b, 0x84, 0x01} }, RuleReadable},
		"an end of nothing":   {func(l *letter) { l.extra = []byte{0x7c} }, RuleReadable},
		"a long tag":          {func(l *letter) { l.extra = []byte{0xf8, 0x80, 0x80, 0x80, 0x80, 0x00, 1} }, RuleReadable},
		"a long length":       {func(l *letter) { l.extra = []byte{0x7a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00} }, RuleReadable},
		"another run":         {func(l *letter) { l.msg.Metadata.RunId++ }, RuleRouting},
		"another source":      {func(l *letter) { l.msg.Metadata.SrcNodeId = 43 }, RuleRouting},
		"another destination": {func(l *letter) { l.msg.Metadata.DstNodeId = 43 }, RuleRouting},
		"no type":             {func(l *letter) { l.msg.Metadata.MessageType = "" }, RuleType},
		"a long type":         {func(l *letter) { l.msg.Metadata.MessageType = strings.Repeat("x", maxType+1) }, RuleType},
		"text in Latin-1":     {func(l *letter) { l.extra = metadataWith(8, []byte("caf\xe9")) }, RuleReadable},
		"a long group":        {func(l *letter) { l.msg.Metadata.GroupId = strings.Repeat("x", maxGroup+1) }, RuleGroup},
		"before Flower":       {func(l *letter) { l.msg.Metadata.CreatedAt = earliest - 1 }, RuleCreatedAt},
		"created at NaN":      {func(l *letter) { l.msg.Metadata.CreatedAt = math.NaN() }, RuleCreatedAt},
		"created at infinity": {func(l *letter) { l.msg.Metadata.CreatedAt = math.Inf(1) }, RuleCreatedAt},
		"lives for NaN":       {func(l *letter) { l.msg.Metadata.Ttl = math.NaN() }, RuleLifetime},
		"lives forever":       {func(l *letter) { l.msg.Metadata.Ttl = math.Inf(1) }, RuleLifetime},
		"never lives":         {func(l *letter) { l.msg.Metadata.Ttl = math.Inf(-1) }, RuleLifetime},
		"outlives the clock":  {func(l *letter) { l.msg.Metadata.Ttl = 1e300 }, RuleLifetime},
		"content and error":   {func(l *letter) { l.msg.Error = &flwrpb.Error{Code: 1} }, RuleContent},
		"neither":             {func(l *letter) { l.msg.Content = nil }, RuleContent},
		"content with a name": {func(l *letter) { l.msg.Content = recordNamed("arrays") }, ""},
		"a name in Latin-1":   {func(l *letter) { l.msg.Content = recordNamed("caf\xe9") }, RuleReadable},
		"content of noise":    {func(l *letter) { l.msg.Content = []byte{0xff} }, RuleReadable},
		"groups":              {func(l *letter) { l.extra = groups(maxNesting) }, ""},
		"many groups":         {func(l *letter) { l.extra = groups(maxNesting + 1) }, RuleNesting},
		"150 groups":          {func(l *letter) { l.extra = groups(150) }, RuleNesting},
		"groups in content":   {func(l *letter) { l.msg.Content = groups(maxNesting) }, RuleNesting},
		"many fields":         {func(l *letter) { l.extra = bytes.Repeat([]byte{0x78, 1}, maxFields) }, RuleFields},
		"many fields inside":  {func(l *letter) { l.msg.Content = bytes.Repeat([]byte{0x0a, 0}, maxFields) }, RuleFields},
		"a huge message":      {func(l *letter) { l.extra = protowire.AppendBytes([]byte{0x7a}, make([]byte, maxRaw)) }, RuleSize},
		"no id":               {func(l *letter) { l.msg.Metadata.MessageId = "" }, RuleRoot},
		"a path as id":        {func(l *letter) { l.msg.Metadata.MessageId, l.tree.ObjectId = "../../x", "../../x" }, RuleTree},
		"another tree":        {func(l *letter) { l.tree = l.tree.GetChildren()[0] }, RuleRoot},
		"its own child":       {func(l *letter) { l.tree.Children = []*flwrpb.ObjectTree{{ObjectId: id}, {ObjectId: record}} }, RuleRoot},
		"no tree":             {func(l *letter) { l.tree = &flwrpb.ObjectTree{} }, RuleTree},
		"a malformed object":  {func(l *letter) { l.tree.Children[0].ObjectId = "x" }, RuleTree},
		"a nameless object":   {func(l *letter) { l.tree.Children[0].ObjectId = "" }, RuleTree},
		"two names":           {func(l *letter) { l.extraTree = protowire.AppendString([]byte{0x0a}, id) }, RuleTree},
		"half a tree":         {func(l *letter) { l.extraTree = []byte{0x12, 5, 0} }, RuleTree},
		"a deep tree":         {func(l *letter) { l.tree.Children[0] = chain(15) }, ""},
		"a deeper tree":       {func(l *letter) { l.tree.Children[0] = chain(16) }, RuleTree},
		"groups in its tree":  {func(l *letter) { l.extraTree = groups(150) }, RuleNesting},
		"shared objects":      {func(l *letter) { l.tree.Children = append(l.tree.Children, l.tree.Children...) }, ""},
	} {
		for kind, p := range parsers {
			l := p.make()
			tt.spoil(l)
			_, err := p.parse(l.raw(t), l.wire(t))
			if got := ruleOf(t, err); got != tt.want {
				t.Errorf("%s: %s: rule %q (%v), want %q", kind, name, got, err, tt.want)
			}
		}
	}
}

func TestRulesOfInstructions(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*flwrpb.Metadata)
		want  Rule
	}{
		"a reply":      {func(md *flwrpb.Metadata) { md.ReplyToMessageId = asked }, RuleRouting},
		"to itself":    {func(md *flwrpb.Metadata) { md.DstNodeId = 1 }, RuleRouting},
		"no life":      {func(md *flwrpb.Metadata) { md.Ttl = 0 }, RuleLifetime},
		"less":         {func(md *flwrpb.Metadata) { md.Ttl = -1 }, RuleLifetime},
		"expired":      {func(md *flwrpb.Metadata) { md.Ttl = 10 }, RuleLifetime},
		"almost":       {func(md *flwrpb.Metadata) { md.Ttl = 10.5 }, ""},
		"a clock fast": {func(md *flwrpb.Metadata) { md.CreatedAt += 1e6 }, ""},
	} {
		l := newInstruction()
		tt.spoil(l.msg.Metadata)
		_, err := ParseInstruction(l.raw(t), l.wire(t), Addressed{RunID: run, Now: now})
		if got := ruleOf(t, err); got != tt.want {
			t.Errorf("%s: rule %q (%v), want %q", name, got, err, tt.want)
		}
	}
}

// A node leaves it to the SuperLink to decide what has expired.
func TestInstructionsDoNotExpireWithoutAClock(t *testing.T) {
	l := newInstruction()
	l.msg.Metadata.CreatedAt, l.msg.Metadata.Ttl = earliest, 1
	if _, err := ParseInstruction(l.raw(t), l.wire(t), Addressed{RunID: run, Node: node}); err != nil {
		t.Error(err)
	}
}

func TestRulesOfReplies(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*flwrpb.Metadata, *Answered)
		want  Rule
	}{
		"a clock that is ahead":     {func(md *flwrpb.Metadata, _ *Answered) { md.CreatedAt += 1e6; md.Ttl = -1e6 }, ""},
		"another instruction":       {func(md *flwrpb.Metadata, _ *Answered) { md.ReplyToMessageId = record }, RuleRouting},
		"no instruction":            {func(md *flwrpb.Metadata, _ *Answered) { md.ReplyToMessageId = "" }, RuleRouting},
		"another group":             {func(md *flwrpb.Metadata, _ *Answered) { md.GroupId = "4" }, ""},
		"no group":                  {func(md *flwrpb.Metadata, _ *Answered) { md.GroupId = "" }, ""},
		"another node sent it":      {func(_ *flwrpb.Metadata, a *Answered) { a.Node = 43 }, RuleRouting},
		"in the name of a sender":   {func(md *flwrpb.Metadata, a *Answered) { a.Node = 43; md.SrcNodeId = 43 }, RuleRouting},
		"to a reply":                {func(_ *flwrpb.Metadata, a *Answered) { a.Instruction.ReplyTo = record }, RuleRouting},
		"another type is an answer": {func(md *flwrpb.Metadata, _ *Answered) { md.MessageType = "query" }, ""},
	} {
		l, known := newReply(), Answered{Instruction: theInstruction(), Node: node}
		tt.spoil(l.msg.Metadata, &known)
		_, err := ParseReply(l.raw(t), l.wire(t), known)
		if got := ruleOf(t, err); got != tt.want {
			t.Errorf("%s: rule %q (%v), want %q", name, got, err, tt.want)
		}
	}
}

func TestRuntime(t *testing.T) {
	for seconds, want := range map[float64]time.Duration{
		0: 0, -1: 0, 1.5: 1500 * time.Millisecond, 1e12: 0, 1e300: 0,
	} {
		if got := Runtime(seconds); got != want {
			t.Errorf("%v s: %s, want %s", seconds, got, want)
		}
	}
	for _, seconds := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := Runtime(seconds); got != 0 {
			t.Errorf("%v s: %s", seconds, got)
		}
	}
}

func TestPeekAppliesNoRule(t *testing.T) {
	l := newReply()
	l.msg.Metadata.MessageType = ""
	r, err := Peek(l.raw(t))
	if err != nil || r.ReplyTo != asked || r.RunID != run {
		t.Errorf("%+v, %v", r, err)
	}
	l.extra = groups(150)
	if _, err := Peek(l.raw(t)); ruleOf(t, err) != RuleNesting {
		t.Errorf("decoded what nobody can read: %v", err)
	}
}

// ruleOf returns the rule of an error; empty if there is none.
func ruleOf(t testing.TB, err error) Rule {
	t.Helper()
	var why *Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &why):
		t.Fatalf("not the error of a rule: %v", err)
	}
	return why.Rule
}

// groups makes n unknown groups, one inside the other.
func groups(n int) []byte {
	var b []byte
	for range n {
		b = protowire.AppendTag(b, 999, protowire.StartGroupType)
	}
	for range n {
		b = protowire.AppendTag(b, 999, protowire.EndGroupType)
	}
	return b
}

// metadataWith makes one more metadata field, which readers merge with the first.
func metadataWith(number protowire.Number, value []byte) []byte {
	field := protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	return protowire.AppendBytes([]byte{0x0a}, field)
}

// recordNamed makes a RecordDict with one entry of the given name.
func recordNamed(name string) []byte {
	item := protowire.AppendString([]byte{0x0a}, name)
	return protowire.AppendBytes([]byte{0x0a}, item)
}

// chain makes a tree with the given number of levels.
func chain(levels int) *flwrpb.ObjectTree {
	tree := &flwrpb.ObjectTree{ObjectId: record}
	for range levels - 1 {
		tree = &flwrpb.ObjectTree{ObjectId: record, Children: []*flwrpb.ObjectTree{tree}}
	}
	return tree
}
