package object_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

func TestValid(t *testing.T) {
	for id, want := range map[string]bool{
		chunkID:                          true,
		strings.Repeat("0", 64):          true,
		"":                               false,
		chunkID[:63]:                     false,
		chunkID + "0":                    false,
		strings.ToUpper(chunkID):         false,
		chunkID[:63] + "g":               false,
		chunkID[:62] + "ä":               false,
		"../" + chunkID[3:]:              false,
		strings.Repeat("0", 63) + "\x00": false,
		strings.Repeat("0", 63) + "\n":   false,
	} {
		if got := object.Valid(id); got != want {
			t.Errorf("Valid(%q) = %v", id, got)
		}
		if err := object.CheckID(id); (err == nil) != want || err != nil && !errors.Is(err, object.ErrBadID) {
			t.Errorf("CheckID(%q) = %v", id, err)
		}
	}
}

func TestHashAgreesWithSumHoweverItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "parts")
		var all []byte
		hash := object.NewHash()
		for _, part := range parts {
			all = append(all, part...)
			if n, err := hash.Write(part); n != len(part) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		if hash.ID() != object.Sum(all) {
			t.Fatalf("%s when streamed, %s when hashed at once", hash.ID(), object.Sum(all))
		}
		if err := hash.Verify(object.Sum(all)); err != nil {
			t.Fatal(err)
		}
		if err := hash.Verify(chunkID); !errors.Is(err, object.ErrMismatch) {
			t.Fatalf("verified a foreign id: %v", err)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	for name, content := range map[string]string{
		"nothing":            "",
		"no end of header":   "ArrayChunk  3",
		"two parts":          "ArrayChunk 3\x00abc",
		"four parts":         "ArrayChunk  3 \x00abc",
		"no type":            "  3\x00abc",
		"long type":          strings.Repeat("a", 65) + "  3\x00abc",
		"no length":          "ArrayChunk  \x00abc",
		"negative length":    "ArrayChunk  -3\x00abc",
		"signed length":      "ArrayChunk  +3\x00abc",
		"leading zero":       "ArrayChunk  03\x00abc",
		"overflowing length": "ArrayChunk  9223372036854775808\x00abc",
		"short child":        "Array abc 3\x00abc",
		"empty child":        "Array " + chunkID + ", 3\x00abc",
		"child twice":        "Array " + chunkID + "," + chunkID + " 3\x00abc",
		"upper-case child":   "Array " + strings.ToUpper(chunkID) + " 3\x00abc",
	} {
		if header, _, err := object.Parse([]byte(content)); !errors.Is(err, object.ErrMalformed) {
			t.Errorf("%s: %v, %v", name, header, err)
		}
	}
}

func TestBuildRefusesWhatParseWould(t *testing.T) {
	for name, args := range map[string]struct {
		typ      string
		children []string
	}{
		"space in type": {"Array Chunk", nil},
		"zero in type":  {"Array\x00", nil},
		"no type":       {"", nil},
		"bad child":     {"Array", []string{"abc"}},
		"child twice":   {"Array", []string{chunkID, chunkID}},
	} {
		if _, _, err := object.Build(args.typ, args.children, nil); !errors.Is(err, object.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"ArrayChunk  3\x00abc", "Array " + chunkID + " 0\x00", "RecordDict " + chunkID + "," + arrayID + " 1\x00x",
		"A  9223372036854775807\x00", " , \x00", "\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		header, bodyAt, err := object.Parse(content)
		if err != nil {
			return
		}
		// Building from what was parsed must give back the same bytes.
		body := content[bodyAt:]
		if header.BodyLen != int64(len(body)) {
			return
		}
		again, id, err := object.Build(header.Type, header.Children, body)
		if err != nil || string(again) != string(content) || id != object.Sum(content) {
			t.Fatalf("%q was parsed as %+v, which is built as %q (%v)", content, header, again, err)
		}
	})
}

func tree(id string, children ...*flwrpb.ObjectTree) *flwrpb.ObjectTree {
	return &flwrpb.ObjectTree{ObjectId: id, Children: children}
}

func TestPostOrder(t *testing.T) {
	shared := tree(arrayID, tree(chunkID))
	got, err := object.PostOrder(tree(messageID, tree(recordsID, tree(arraysID, shared), tree(configID, shared), tree(metricsID))), object.TreeLimits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{chunkID, arrayID, arraysID, configID, metricsID, recordsID, messageID}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPostOrderBounds(t *testing.T) {
	chain := tree(chunkID)
	for range 3 {
		chain = tree(arrayID, chain)
	}
	wide := tree(messageID, tree(chunkID), tree(arrayID), tree(chunkID))
	for name, tt := range map[string]struct {
		tree   *flwrpb.ObjectTree
		limits object.TreeLimits
		want   error
	}{
		"depth fits":       {chain, object.TreeLimits{Depth: 4}, nil},
		"too deep":         {chain, object.TreeLimits{Depth: 3}, object.ErrTreeTooLarge},
		"objects fit":      {wide, object.TreeLimits{Objects: 3}, nil},
		"too many objects": {wide, object.TreeLimits{Objects: 2}, object.ErrTreeTooLarge},
		"nodes fit":        {wide, object.TreeLimits{Nodes: 4}, nil},
		"too many nodes":   {wide, object.TreeLimits{Nodes: 3}, object.ErrTreeTooLarge},
		"bad id":           {tree(messageID, tree("x")), object.TreeLimits{}, object.ErrBadID},
	} {
		if _, err := object.PostOrder(tt.tree, tt.limits); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := object.PostOrder(nil, object.DefaultTreeLimits); err == nil {
		t.Error("no tree gave no error")
	}
	deep := tree(chunkID)
	for range 9_000 { // below protobuf's own limit
		deep = tree(chunkID, deep)
	}
	if _, err := object.PostOrder(deep, object.DefaultTreeLimits); !errors.Is(err, object.ErrTreeTooLarge) {
		t.Errorf("a chain of 9000: %v", err)
	}
}

func TestWalkStops(t *testing.T) {
	stop := errors.New("stop")
	var visited int
	err := object.Walk(tree(messageID, tree(chunkID), tree(arrayID)), object.TreeLimits{}, func(string) error {
		visited++
		return stop
	})
	if !errors.Is(err, stop) || visited != 1 {
		t.Errorf("visited %d, %v", visited, err)
	}
}

func TestErrorReplyNeedsToKnowWhatItAnswers(t *testing.T) {
	for _, md := range []*flwrpb.Metadata{nil, {RunId: 7, MessageId: messageID}} {
		if _, _, _, err := object.ErrorReply(md, 2, "boom"); err == nil {
			t.Errorf("an error reply was made of %v", md)
		}
	}
}

func TestReplyTo(t *testing.T) {
	instruction := metadata()
	instruction.MessageId = messageID
	got := object.ReplyTo(instruction, time.UnixMilli(1800000001_000))
	want := &flwrpb.Metadata{
		RunId: 7, SrcNodeId: 42, DstNodeId: 1, ReplyToMessageId: messageID, GroupId: "3",
		MessageType: "train", CreatedAt: 1800000001, Ttl: 43199.5,
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if late := object.ReplyTo(instruction, time.Unix(1900000000, 0)); late.GetTtl() != 0 {
		t.Errorf("a reply after the instruction's end lives %v s", late.GetTtl())
	}
}
