// Package nodetest makes the work that a SuperLink would send, for tests of package node
// and its parts: real messages in Flower's object form, with an app bundle.
package nodetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/fab/fabtest"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// NodeID is the node that all messages are addressed to.
const NodeID = 42

// Blobs holds objects by id.
type Blobs map[string][]byte

// Add keeps an object and returns its id.
func (b Blobs) Add(content []byte) string {
	sum := sha256.Sum256(content)
	id := hex.EncodeToString(sum[:])
	b[id] = content
	return id
}

// Run is a run with its app bundle.
type Run struct {
	ID, SeriesID uint64
	FABHash      string
	// Objects holds the bundle and everything that belongs to the run's messages.
	Objects Blobs
	// Override is the run's override_config.
	Override map[string]*flwrpb.Scalar
	// Verifications are what a hub attests about the bundle.
	Verifications map[string]string
}

// NewRun makes a run in a series of its own, with a bundle whose configuration has
// `lr = 0.1` and `run = id`.
func NewRun(t testing.TB, id uint64) *Run {
	t.Helper()
	return NewRunOf(t, id, id+1000, fmt.Sprintf("[tool.flwr.app.config]\nlr = 0.1\nrun = %d\n", id))
}

// NewRunOf makes a run of a series, with a bundle whose pyproject.toml ends with more.
func NewRunOf(t testing.TB, id, seriesID uint64, more string) *Run {
	t.Helper()
	r := &Run{ID: id, SeriesID: seriesID, Objects: make(Blobs)}
	r.FABHash = r.Objects.Add(fabtest.App(t, more))
	return r
}

// Message is one instruction with everything that belongs to it.
type Message struct {
	ID      string
	Proto   *flwrpb.Message
	Tree    *flwrpb.ObjectTree
	Objects []string // post-order, the message last
	Offer   *sessionpb.Offer
}

// Instruction makes a message of the run; n tells it apart from others, and model is an object
// that messages may share.
func (r *Run) Instruction(t testing.TB, n int, model string) Message {
	t.Helper()
	meta := &flwrpb.Metadata{
		RunId: r.ID, SrcNodeId: 1, DstNodeId: NodeID, GroupId: fmt.Sprint(n), MessageType: "train",
		Ttl: 3600, CreatedAt: createdAt(),
	}
	m := assemble(t, r.Objects, meta, model)
	m.Offer = &sessionpb.Offer{
		Message: marshal(t, m.Proto),
		Tree:    marshal(t, m.Tree),
		Run: marshal(t, &flwrpb.Run{
			RunId: r.ID, SeriesId: r.SeriesID, FabId: "us/app", FabVersion: "1.0.0", FabHash: r.FABHash, OverrideConfig: r.Override,
		}),
		FabVerifications: r.Verifications,
	}
	return m
}

// createdAt is now, or a time that Flower accepts if time is virtual and begins in 2000.
func createdAt() float64 {
	return float64(max(time.Now().Unix(), time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC).Unix()))
}

// Reply makes the answer to an instruction, with its objects in blobs.
func (m Message) Reply(t testing.TB, blobs Blobs, model string) Message {
	t.Helper()
	to := m.Proto.GetMetadata()
	return assemble(t, blobs, &flwrpb.Metadata{
		RunId: to.GetRunId(), SrcNodeId: to.GetDstNodeId(), DstNodeId: to.GetSrcNodeId(), GroupId: to.GetGroupId(),
		MessageType: to.GetMessageType(), ReplyToMessageId: m.ID, Ttl: to.GetTtl(), CreatedAt: to.GetCreatedAt(),
	}, model)
}

// Put stores objects from blobs.
func Put(t testing.TB, store objects.Store, blobs Blobs, ids ...string) {
	t.Helper()
	for _, id := range ids {
		content, ok := blobs[id]
		if !ok {
			t.Fatalf("no object %s", id)
		}
		if err := store.Put(context.Background(), id, int64(len(content)), bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
}

// assemble makes a message whose content is one array of one chunk.
func assemble(t testing.TB, blobs Blobs, meta *flwrpb.Metadata, model string) Message {
	t.Helper()
	chunk := blobs.Add(form("ArrayChunk", nil, model))
	array := blobs.Add(form("Array", []string{chunk}, `{"arraychunk_ids": [0]}`))
	record := blobs.Add(form("ArrayRecord", []string{array}, fmt.Sprintf(`{"0": %q}`, array)))
	dict := blobs.Add(form("RecordDict", []string{record}, fmt.Sprintf(`{"arrays": %q}`, record)))
	id := blobs.Add(form("Message", []string{dict}, string(marshal(t, &flwrpb.Message{Metadata: meta}))))
	meta.MessageId = id
	leaf := func(id string, children ...*flwrpb.ObjectTree) *flwrpb.ObjectTree {
		return &flwrpb.ObjectTree{ObjectId: id, Children: children}
	}
	return Message{
		ID:      id,
		Proto:   &flwrpb.Message{Metadata: meta, Content: []byte{}},
		Tree:    leaf(id, leaf(dict, leaf(record, leaf(array, leaf(chunk))))),
		Objects: []string{chunk, array, record, dict, id},
	}
}

// form returns the byte form of an object.
func form(kind string, children []string, body string) []byte {
	var buf bytes.Buffer
	fmt.Fprintf(&buf, "%s ", kind)
	for i, c := range children {
		if i > 0 {
			buf.WriteByte(',')
		}
		buf.WriteString(c)
	}
	fmt.Fprintf(&buf, " %d\x00%s", len(body), body)
	return buf.Bytes()
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
