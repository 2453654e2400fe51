package flwr_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

func pushRequest(body io.Reader, length int64) *http.Request {
	r := httptest.NewRequest(http.MethodPost, flwr.PathPushObject, body)
	r.ContentLength = length
	r.Header.Set("Content-Type", flwr.TypeProtobuf)
	return r
}

// readPush reads a whole request, as a host that knows the size does.
func readPush(r *http.Request, limit int64) (*flwrpb.PushObjectRequest, error) {
	push, err := flwr.ReadObjectPush(r, limit)
	if err != nil {
		return nil, err
	}
	content := make([]byte, push.Size)
	if _, err := io.ReadFull(push.Content, content); err != nil {
		return nil, err
	}
	if err := push.Finish(); err != nil {
		return nil, err
	}
	whole := proto.CloneOf(push.Head)
	whole.ObjectContent = content
	return whole, nil
}

func sample() *flwrpb.PushObjectRequest {
	return &flwrpb.PushObjectRequest{
		Node: &flwrpb.Node{NodeId: 1}, RunId: 1 << 63, ObjectId: strings.Repeat("ab", 32),
		ObjectContent: bytes.Repeat([]byte("content"), 10_000), SessionId: "session",
	}
}

func TestObjectPushIsReadAsItComes(t *testing.T) {
	empty := sample()
	empty.ObjectContent = nil
	unnamed := &flwrpb.PushObjectRequest{ObjectContent: []byte("x")}
	for name, want := range map[string]*flwrpb.PushObjectRequest{"usual": sample(), "without content": empty, "only content": unnamed, "nothing": {}} {
		body, err := flwr.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		for way, reader := range map[string]io.Reader{
			"at once": bytes.NewReader(body), "byte by byte": iotest.OneByteReader(bytes.NewReader(body)),
			"end with data": iotest.DataErrReader(bytes.NewReader(body)),
		} {
			for _, length := range []int64{int64(len(body)), -1} {
				got, err := readPush(pushRequest(reader, length), flwr.MaxObject)
				if err != nil {
					t.Errorf("%s, %s, length %d: %v", name, way, length, err)
					continue
				}
				if !bytes.Equal(got.ObjectContent, want.ObjectContent) {
					t.Errorf("%s, %s: another content", name, way)
				}
				got.ObjectContent = want.ObjectContent
				if !proto.Equal(got, want) {
					t.Errorf("%s, %s: got %v", name, way, got)
				}
				reader = bytes.NewReader(body)
			}
		}
	}
}

func TestObjectPushKeepsWhatItDoesNotKnow(t *testing.T) {
	body, err := flwr.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []protowire.Type{protowire.VarintType, protowire.Fixed32Type, protowire.Fixed64Type, protowire.BytesType} {
		field := protowire.AppendTag(nil, 99, kind)
		switch kind {
		case protowire.VarintType:
			field = protowire.AppendVarint(field, 300)
		case protowire.Fixed32Type:
			field = protowire.AppendFixed32(field, 1)
		case protowire.Fixed64Type:
			field = protowire.AppendFixed64(field, 1)
		case protowire.BytesType:
			field = protowire.AppendString(field, "x")
		}
		got, err := readPush(pushRequest(bytes.NewReader(append(bytes.Clone(body), field...)), -1), flwr.MaxObject)
		if err != nil {
			t.Errorf("wire type %d: %v", kind, err)
			continue
		}
		if unknown := got.ProtoReflect().GetUnknown(); !bytes.Equal(unknown, field) {
			t.Errorf("wire type %d: unknown fields are %x, want %x", kind, unknown, field)
		}
	}
}

func TestMalformedObjectPushes(t *testing.T) {
	whole, err := flwr.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	content := func(size uint64, text string) []byte {
		return append(protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.BytesType), size), text...)
	}
	field := func(number protowire.Number, kind protowire.Type, rest string) []byte {
		return append(protowire.AppendTag(nil, number, kind), rest...)
	}
	for name, body := range map[string][]byte{
		"cut in the head":            whole[:20],
		"cut in the content":         whole[:1000],
		"cut behind the content":     whole[:len(whole)-1],
		"content is longer":          content(10, "short"),
		"content of all the world":   content(1<<63, "x"),
		"content twice":              append(content(1, "a"), content(1, "b")...),
		"another run behind content": append(content(1, "a"), field(2, protowire.VarintType, "\x01")...),
		"endless number":             bytes.Repeat([]byte{0xff}, 20),
		"field 0":                    {0x00, 0x01},
		"group":                      field(9, protowire.StartGroupType, ""),
		"head without end":           append(field(3, protowire.BytesType, "\xff\xff\xff\x7f"), make([]byte, 1<<20)...),
		"many small fields":          bytes.Repeat(field(9, protowire.VarintType, "\x01"), 1<<16),
		"tail without end":           append(content(1, "a"), bytes.Repeat(field(9, protowire.VarintType, "\x01"), 1<<16)...),
		"id is not text":             field(3, protowire.BytesType, "\x01\xff"),
	} {
		_, err := readPush(pushRequest(bytes.NewReader(body), -1), 1<<40)
		var answer *flwr.Error
		if !errors.As(err, &answer) || answer.Code != flwr.CodeInvalidProtobuf {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestObjectPushIsRefusedBeforeItsContentIsRead(t *testing.T) {
	head := func(size uint64) io.Reader {
		return io.MultiReader(bytes.NewReader(protowire.AppendVarint([]byte{4<<3 | 2}, size)), iotest.ErrReader(errors.New("it was read")))
	}
	for name, test := range map[string]struct {
		request *http.Request
		status  int
	}{
		"over the limit":        {pushRequest(head(1001), -1), 413},
		"more than the request": {pushRequest(head(900), 800), 400},
		"another content type": {func() *http.Request {
			r := pushRequest(head(1), -1)
			r.Header.Set("Content-Type", "application/json")
			return r
		}(), 415},
	} {
		_, err := flwr.ReadObjectPush(test.request, 1000)
		var answer *flwr.Error
		if !errors.As(err, &answer) || answer.Status != test.status {
			t.Errorf("%s: got %v, want %d", name, err, test.status)
		}
	}
}

func TestBrokenConnectionsAreNotTheSendersFault(t *testing.T) {
	whole, err := flwr.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{5, 1000, len(whole) - 3} {
		body := io.MultiReader(bytes.NewReader(whole[:at]), iotest.ErrReader(errors.New("connection reset")))
		_, err := readPush(pushRequest(body, int64(len(whole))), flwr.MaxObject)
		var answer *flwr.Error
		if err == nil || errors.As(err, &answer) {
			t.Errorf("broken at byte %d: got %v, want an error answered with 503", at, err)
		}
	}
}

// FuzzObjectPush compares the reader with the parser for whole messages.
func FuzzObjectPush(f *testing.F) {
	small := sample()
	small.ObjectContent = []byte("content")
	whole, err := flwr.Marshal(small)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-9])
	f.Add([]byte{})
	f.Add([]byte{4<<3 | 2, 3, 'a', 'b', 'c', 99 << 1, 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := readPush(pushRequest(bytes.NewReader(body), -1), 1<<20)
		want := &flwrpb.PushObjectRequest{}
		wantErr := flwr.Unmarshal(body, want)
		if err == nil {
			if wantErr != nil {
				t.Fatalf("%x was read, but it is not a message: %v", body, wantErr)
			}
			if !bytes.Equal(got.ObjectContent, want.ObjectContent) || got.GetObjectId() != want.GetObjectId() || got.GetRunId() != want.GetRunId() {
				t.Fatalf("%x was read as %v, it is %v", body, got, want)
			}
			return
		}
		if wantErr != nil || len(body) > 4<<10 || len(want.ProtoReflect().GetUnknown()) > 0 {
			return // groups are unknown fields that no sender uses
		}
		canonical, err2 := flwr.Marshal(want)
		if err2 != nil {
			t.Fatal(err2)
		}
		if bytes.Equal(canonical, body) {
			t.Fatalf("%x is as serializers write it, but: %v", body, err)
		}
	})
}

// FuzzReadRequest shows that the worst any body does is fail.
func FuzzReadRequest(f *testing.F) {
	f.Add([]byte{}, "application/protobuf")
	f.Add([]byte{0x0a, 1, 'a'}, "application/protobuf; charset=utf-8")
	f.Add(bytes.Repeat([]byte{0x12, 2}, 100), "")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		tree := &flwrpb.ObjectTree{}
		err := flwr.ReadRequest(r, tree, 1<<16)
		var answer *flwr.Error
		if err != nil && (!errors.As(err, &answer) || answer.Status/100 != 4) {
			t.Fatalf("a bad request ended in %v", err)
		}
	})
}
