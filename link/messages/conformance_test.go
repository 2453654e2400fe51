package messages_test

import (
	"bytes"
	"crypto/rand"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// verdict on a reply as it is seen from outside: by its node and by its ServerApp.
type verdict string

const (
	taken    verdict = "taken"    // the node may forget it, and the ServerApp gets it
	refused  verdict = "refused"  // the ServerApp is told that no reply will come
	unwanted verdict = "unwanted" // the ServerApp goes on waiting
)

// road is a way by which replies come into a link. It ends outside the link: it sends what a
// node sends, and receives what a node receives.
type road interface {
	// node is the one that replies on this road come from.
	node() uint64
	// send sends a reply with its objects; taken is what the node is told.
	send(reply *letter) (taken bool)
}

// letter is a message with its objects, and what is appended to it on the wire.
type letter struct {
	flwrtest.Letter
	extra, extraTree []byte
	runtime          float64
}

func newLetter(t testing.TB, md *flwrpb.Metadata) *letter {
	t.Helper()
	return &letter{Letter: flwrtest.NewLetter(t, md, "ConfigRecord", []byte(rand.Text())), runtime: 1.5}
}

func (l *letter) md() *flwrpb.Metadata { return l.Message.Metadata }

func (l *letter) raw(t testing.TB) []byte  { return append(encode(t, l.Message), l.extra...) }
func (l *letter) wire(t testing.TB) []byte { return append(encode(t, l.Tree), l.extraTree...) }

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	must(t, err)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// replies are those that a node may send, good and bad, and what becomes of each.
func replies(elsewhere state.Run, stranger uint64) map[string]struct {
	spoil func(*letter)
	want  verdict
} {
	long := strings.Repeat("x", 2000)
	return map[string]struct {
		spoil func(*letter)
		want  verdict
	}{
		"as it should be":       {func(*letter) {}, taken},
		"a field from later":    {func(l *letter) { l.extra = []byte{0xfa, 0x3e, 2, 'h', 'i'} }, taken},
		"a clock that is ahead": {func(l *letter) { l.md().CreatedAt += 7200; l.md().Ttl = -3600 }, taken},
		"a group of its own":    {func(l *letter) { l.md().GroupId = "mine" }, taken},
		"no time of work":       {func(l *letter) { l.runtime = math.NaN() }, taken},
		"endless work":          {func(l *letter) { l.runtime = math.Inf(1) }, taken},

		"another run":         {func(l *letter) { l.md().RunId = elsewhere.ID }, unwanted},
		"unknown instruction": {func(l *letter) { l.md().ReplyToMessageId = strings.Repeat("0", 64) }, unwanted},
		"another source":      {func(l *letter) { l.md().SrcNodeId = stranger }, unwanted},
		"from the SuperLink":  {func(l *letter) { l.md().SrcNodeId = 1 }, unwanted},
		"to a node":           {func(l *letter) { l.md().DstNodeId = stranger }, unwanted},

		"no type":             {func(l *letter) { l.md().MessageType = "" }, refused},
		"a long type":         {func(l *letter) { l.md().MessageType = long }, refused},
		"a long group":        {func(l *letter) { l.md().GroupId = long }, refused},
		"before Flower":       {func(l *letter) { l.md().CreatedAt = 1 }, refused},
		"created at NaN":      {func(l *letter) { l.md().CreatedAt = math.NaN() }, refused},
		"created at infinity": {func(l *letter) { l.md().CreatedAt = math.Inf(1) }, refused},
		"lives for NaN":       {func(l *letter) { l.md().Ttl = math.NaN() }, refused},
		"lives for ever":      {func(l *letter) { l.md().Ttl = math.Inf(1) }, refused},
		"content and error":   {func(l *letter) { l.Message.Error = &flwrpb.Error{Code: 1} }, refused},
		"neither":             {func(l *letter) { l.Message.Content = nil }, refused},
		"no tree":             {func(l *letter) { l.Tree = &flwrpb.ObjectTree{} }, refused},
		"another tree":        {func(l *letter) { l.Tree = l.Tree.GetChildren()[0] }, refused},
		"a path as an object": {func(l *letter) { l.Tree.Children[0].ObjectId = "../../etc/passwd" }, refused},
		"a deep tree":         {func(l *letter) { deepen(l, 20) }, refused},
		"150 groups in it":    {func(l *letter) { l.extraTree = groups(150) }, refused},
		"empty nodes":         {func(l *letter) { l.extraTree = bytes.Repeat([]byte{0x12, 0}, 1<<20) }, refused},

		// The instruction that it answers cannot be read, so nobody is told.
		"150 groups":       {func(l *letter) { l.extra = groups(150) }, unwanted},
		"a million fields": {func(l *letter) { l.extra = bytes.Repeat([]byte{0x78, 1}, 1<<18) }, unwanted},
		"half a message":   {func(l *letter) { l.extra = []byte{0x0a, 99} }, unwanted},
	}
}

// TestTheTwoRoadsOfAReply sends the same replies on both roads: what becomes of a reply does not
// depend on how it came.
func TestTheTwoRoadsOfAReply(t *testing.T) {
	h := newHub(t)
	elsewhere := h.run()
	for name, r := range map[string]road{"session": newSessionRoad(t, h), "Fleet API": newFleetRoad(t, h)} {
		for what, tt := range replies(elsewhere, h.stranger()) {
			t.Run(name+"/"+what, func(t *testing.T) {
				run := h.run()
				asked := h.instruct(run.ID, r.node())
				reply := newLetter(t, object.ReplyTo(asked.md(), time.Now()))
				tt.spoil(reply)
				if got := h.judged(t, r, asked, reply); got != tt.want {
					t.Fatalf("the reply is %s, want %s", got, tt.want)
				}
				if tt.want == taken {
					h.isReply(t, asked, reply)
				}
				if tt.want != unwanted {
					return
				}
				// The true reply is as good as before.
				good := newLetter(t, object.ReplyTo(asked.md(), time.Now()))
				if got := h.judged(t, r, asked, good); got != taken {
					t.Errorf("the true reply after it is %s", got)
				}
			})
		}
	}
}

// Whatever follows a reply that was taken changes nothing.
func TestASecondReplyOnBothRoads(t *testing.T) {
	h := newHub(t)
	for name, r := range map[string]road{"session": newSessionRoad(t, h), "Fleet API": newFleetRoad(t, h)} {
		for what, spoil := range map[string]func(*letter){
			"good": func(*letter) {}, "bad": func(l *letter) { l.Message.Content = nil },
		} {
			asked := h.instruct(h.run().ID, r.node())
			first := newLetter(t, object.ReplyTo(asked.md(), time.Now()))
			if got := h.judged(t, r, asked, first); got != taken {
				t.Fatalf("%s: the first reply is %s", name, got)
			}
			second := newLetter(t, object.ReplyTo(asked.md(), time.Now()))
			spoil(second)
			if r.send(second) {
				t.Errorf("%s: a second, %s reply was taken", name, what)
			}
			h.isReply(t, asked, first)
		}
	}
}

// A node gets nowhere with another node's instruction, on whatever road.
func TestAForeignInstructionOnBothRoads(t *testing.T) {
	h := newHub(t)
	session, fleet := newSessionRoad(t, h), newFleetRoad(t, h)
	for _, way := range []struct {
		name         string
		thief, owner road
	}{{"session", session, fleet}, {"Fleet API", fleet, session}} {
		asked := h.instruct(h.run().ID, way.owner.node())
		honest := newLetter(t, object.ReplyTo(asked.md(), time.Now()))
		own := newLetter(t, object.ReplyTo(asked.md(), time.Now()))
		own.md().SrcNodeId = way.thief.node()
		for _, reply := range []*letter{honest, own} {
			if got := h.judged(t, way.thief, asked, reply); got != unwanted {
				t.Errorf("by %s: the reply is %s", way.name, got)
			}
		}
		if got := h.judged(t, way.owner, asked, newLetter(t, object.ReplyTo(asked.md(), time.Now()))); got != taken {
			t.Errorf("after a theft by %s, the true reply is %s", way.name, got)
		}
	}
}

func deepen(l *letter, levels int) {
	for range levels {
		l.Tree.Children = []*flwrpb.ObjectTree{{ObjectId: l.Tree.Children[0].GetObjectId(), Children: l.Tree.Children}}
	}
}

// groups are n unknown groups, nested in each other.
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
