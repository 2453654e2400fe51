package object_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// The ids in this file were computed by the flwr 1.41.0 library for the content
// {"arrays": {"0": float32[0, 1]}, "metrics": {"loss": 0.5, "n": 10, "l": [1, 2]},
// "config": {"lr": 0.1, "on": True, "s": "x"}}.
const (
	chunkID       = "35d54723af47aa57c5b3131f4c0122f8dbe3fbcf90efcf64328e08f577e473a2"
	arrayID       = "cde6b1b6b958e634b5521f39971bedd2307a4299095f77a52fa07a323a5d4e92"
	arraysID      = "50e4c3ec62601530aa35ccde679cc24a14ef7582739007b15bdf7315af8e2dbc"
	metricsID     = "5da009af814348fac8a3916a7c68c63e3c68f268313d497033679f3dac7cdcad"
	configID      = "9680684fa26a9af90445b54519ff884fdec9d17026a5e9e66ed6d7c51483128e"
	recordsID     = "946712a9fb553d364716e50513c8d302580c3958ba12e70b826aad31d99bdcc8"
	messageID     = "14690050ded90a69cd5410f06edecedd854d78ba891b2079b98a7f6f948a33e2"
	errorReplyID  = "41a8e3d6d82532e4fa21a8566d5d163cf105e158b10d167156049eca42c356ee"
	emptyArraysID = "c68161c7561379629cbba143e65d069f43f30d933d924a2770859737e0b0d117"
)

// npy is float32[0, 1] as numpy saves it: a header padded to 128 bytes, then the data.
func npy() string {
	dict := "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
	return "\x93NUMPY\x01\x00\x76\x00" + dict + strings.Repeat(" ", 117-len(dict)) + "\n" +
		"\x00\x00\x00\x00\x00\x00\x80\x3f"
}

func unhex(t *testing.T, s string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestObjectsOfTheWorkedExample(t *testing.T) {
	for _, tt := range []struct {
		typ      string
		children []string
		body     string
		header   string
		id       string
	}{
		{"ArrayChunk", nil, npy(), "ArrayChunk  136", chunkID},
		{
			"Array", []string{chunkID},
			`{"dtype": "float32", "shape": [2], "stype": "numpy.ndarray", "arraychunk_ids": [0]}`,
			"Array " + chunkID + " 83", arrayID,
		},
		{"ArrayRecord", []string{arrayID}, `{"0": "` + arrayID + `"}`, "ArrayRecord " + arrayID + " 73", arraysID},
		{
			"MetricRecord", nil,
			unhex(t, "0a110a046c6f7373120909000000000000e03f0a070a016e120210140a0c0a016c1207b201040a020204"),
			"MetricRecord  42", metricsID,
		},
		{
			"ConfigRecord", nil,
			unhex(t, "0a0f0a026c721209099a9999999999b93f0a080a026f6e120220010a080a017312032a0178"),
			"ConfigRecord  37", configID,
		},
		{
			"RecordDict", []string{arraysID, metricsID, configID},
			fmt.Sprintf(`{"arrays": "%s", "metrics": "%s", "config": "%s"}`, arraysID, metricsID, configID),
			"RecordDict " + arraysID + "," + metricsID + "," + configID + " 235", recordsID,
		},
		{"ArrayRecord", nil, "{}", "ArrayRecord  2", emptyArraysID},
	} {
		content, id, err := object.Build(tt.typ, tt.children, []byte(tt.body))
		if err != nil {
			t.Errorf("%s: %v", tt.typ, err)
			continue
		}
		if want := tt.header + "\x00" + tt.body; string(content) != want {
			t.Errorf("%s: byte form\n got %q\nwant %q", tt.typ, content, want)
		}
		if id != tt.id || object.Sum(content) != tt.id {
			t.Errorf("%s: id %s, want %s", tt.typ, id, tt.id)
		}
		header, bodyAt, err := object.Parse(content)
		if err != nil {
			t.Errorf("%s: parse: %v", tt.typ, err)
		}
		want := object.Header{Type: tt.typ, Children: tt.children, BodyLen: int64(len(tt.body))}
		if diff := cmp.Diff(want, header); diff != "" {
			t.Errorf("%s: header (-want +got)\n%s", tt.typ, diff)
		}
		if string(content[bodyAt:]) != tt.body {
			t.Errorf("%s: body starts at %d", tt.typ, bodyAt)
		}
	}
}

func metadata() *flwrpb.Metadata {
	return &flwrpb.Metadata{
		RunId: 7, SrcNodeId: 1, DstNodeId: 42, GroupId: "3", Ttl: 43200, MessageType: "train", CreatedAt: 1800000000.5,
	}
}

func TestMessageOfTheWorkedExample(t *testing.T) {
	msg := &flwrpb.Message{Metadata: metadata(), Content: []byte{}}
	content, id, err := object.BuildMessage(msg, recordsID)
	if err != nil {
		t.Fatal(err)
	}
	want := "Message " + recordsID + " 36\x00" + unhex(t, "0a2208071801202a32013339000000000018e5404205747261696e490000208074d2da41")
	if string(content) != want || id != messageID {
		t.Errorf("got %s, want %s\n got %q\nwant %q", id, messageID, content, want)
	}
	msg.Metadata.MessageId = id
	if _, again, err := object.BuildMessage(msg, recordsID); err != nil || again != id {
		t.Errorf("with its id set the message is %s (%v)", again, err)
	}
}

func TestErrorReplyOfTheWorkedExample(t *testing.T) {
	reply := &flwrpb.Metadata{
		RunId: 7, SrcNodeId: 42, DstNodeId: 1, ReplyToMessageId: messageID, GroupId: "3",
		Ttl: 43199.5, MessageType: "train", CreatedAt: 1800000001,
	}
	// The values of created_at and ttl are those in the example's bytes.
	body := unhex(t, "0a64 0807 182a 2001 2a40") + messageID +
		unhex(t, "320133 3900000000f017e540 4205747261696e 490000408074d2da41 1a08 0804 1204 626f6f6d")
	var decoded flwrpb.Message
	if err := proto.Unmarshal([]byte(body), &decoded); err != nil {
		t.Fatal(err)
	}
	reply.Ttl, reply.CreatedAt = decoded.GetMetadata().GetTtl(), decoded.GetMetadata().GetCreatedAt()

	before := proto.CloneOf(reply)
	msg, content, id, err := object.ErrorReply(reply, 2, "boom")
	if err != nil {
		t.Fatal(err)
	}
	if want := "Message  112\x00" + body; string(content) != want || id != errorReplyID {
		t.Errorf("got %s, want %s\n got %q\nwant %q", id, errorReplyID, content, want)
	}
	if diff := cmp.Diff(before, reply, protocmp.Transform()); diff != "" {
		t.Errorf("the caller's metadata was changed\n%s", diff)
	}
	before.MessageId = errorReplyID
	want := &flwrpb.Message{Metadata: before, Error: &flwrpb.Error{Code: 2, Reason: "boom"}}
	if diff := cmp.Diff(want, msg, protocmp.Transform()); diff != "" {
		t.Errorf("message (-want +got)\n%s", diff)
	}
}
