package objects

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/rhizome-fl/rhizome/p2p/objects/exchangepb"
)

func reader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

func encoded(t testing.TB, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRequestsAndAnswersComeThrough(t *testing.T) {
	_, id := blob(1, 10)
	_, other := blob(2, 10)
	req := request{runID: math.MaxUint64, budget: 12345, wants: []want{{id: id}, {other, math.MaxInt64, true}}}
	got, err := readRequest(reader(encoded(t, func(w io.Writer) error { return writeRequest(w, req) })))
	if diff := cmp.Diff(req, got, cmp.AllowUnexported(request{}, want{})); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	a := answer{exchangepb.Answer_OK, 1000, 900, "why"}
	gotAnswer, err := readAnswer(reader(encoded(t, func(w io.Writer) error { return writeAnswer(w, a) })), want{offset: 100}, nil)
	if diff := cmp.Diff(a, gotAnswer, cmp.AllowUnexported(answer{})); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestBadRequests(t *testing.T) {
	_, id := blob(1, 10)
	many := make([]*exchangepb.Want, maxWants+1)
	for i := range many {
		many[i] = &exchangepb.Want{Id: make([]byte, 32)}
	}
	whole := encoded(t, func(w io.Writer) error { return writeRequest(w, request{wants: []want{{id: id}}}) })
	delimited := func(msg *exchangepb.Request) []byte {
		return encoded(t, func(w io.Writer) error { _, err := protodelim.MarshalTo(w, msg); return err })
	}
	for name, tt := range map[string]struct {
		bytes []byte
		want  error
	}{
		"nothing":          {nil, io.EOF},
		"half":             {whole[:10], io.ErrUnexpectedEOF},
		"half a length":    {[]byte{0x80}, io.ErrUnexpectedEOF},
		"too long":         {[]byte{0xff, 0xff, 0xff, 0x7f}, errProtocol},
		"no protobuf":      {[]byte{2, 0xff, 0xff}, errProtocol},
		"too many objects": {delimited(&exchangepb.Request{Wants: many}), errProtocol},
		"short id":         {delimited(&exchangepb.Request{Wants: []*exchangepb.Want{{Id: []byte{1}}}}), errProtocol},
		"no id":            {delimited(&exchangepb.Request{Wants: []*exchangepb.Want{{}}}), errProtocol},
		"huge offset": {delimited(&exchangepb.Request{
			Wants: []*exchangepb.Want{{Id: make([]byte, 32), Offset: math.MaxUint64}},
		}), errProtocol},
	} {
		if req, err := readRequest(reader(tt.bytes)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v", name, req, err)
		}
	}
	greedy, err := readRequest(reader(delimited(&exchangepb.Request{Budget: math.MaxUint64})))
	if err != nil || greedy.budget != maxChunk {
		t.Errorf("a budget beyond all bounds became %d (%v)", greedy.budget, err)
	}
}

func TestBadAnswers(t *testing.T) {
	for name, msg := range map[string]*exchangepb.Answer{
		"more than the object":       {Status: exchangepb.Answer_OK, Size: 10, Length: 11},
		"more than what is left":     {Status: exchangepb.Answer_OK, Size: 10, Length: 6},
		"content beyond the end":     {Status: exchangepb.Answer_OK, Size: 3, Length: 1},
		"a size beyond all bounds":   {Status: exchangepb.Answer_OK, Size: math.MaxUint64, Length: 1},
		"content where there is not": {Status: exchangepb.Answer_NOT_FOUND, Size: 10, Length: 1},
	} {
		b := encoded(t, func(w io.Writer) error { _, err := protodelim.MarshalTo(w, msg); return err })
		if a, err := readAnswer(reader(b), want{offset: 5}, nil); !errors.Is(err, errProtocol) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func TestSignsOfWaitingAreCounted(t *testing.T) {
	b := encoded(t, func(w io.Writer) error {
		return errors.Join(
			writeAnswer(w, answer{status: exchangepb.Answer_WAIT}), writeAnswer(w, answer{status: exchangepb.Answer_WAIT}),
			writeAnswer(w, answer{status: exchangepb.Answer_BUSY}),
		)
	})
	var signs int
	a, err := readAnswer(reader(b), want{}, func() { signs++ })
	if a.status != exchangepb.Answer_BUSY || signs != 2 || err != nil {
		t.Errorf("%+v after %d signs, %v", a, signs, err)
	}
}

func TestShorten(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", maxDetail), strings.Repeat("ä", maxDetail), "x" + strings.Repeat("€", maxDetail)} {
		got := shorten(s)
		if len(got) > maxDetail || !strings.HasPrefix(s, got) || !utf8.ValidString(got) || len(s) <= maxDetail && got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	_, id := blob(1, 10)
	f.Add(encoded(f, func(w io.Writer) error {
		return writeRequest(w, request{runID: 7, budget: 1 << 20, wants: []want{{id, 100, true}}})
	}))
	f.Add([]byte{2, 0xff, 0xff})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		req, err := readRequest(reader(b))
		if err != nil {
			return
		}
		if len(req.wants) > maxWants || req.budget <= 0 || req.budget > maxChunk {
			t.Fatalf("out of bounds: %d wants, budget %d", len(req.wants), req.budget)
		}
		again, err := readRequest(reader(encoded(t, func(w io.Writer) error { return writeRequest(w, req) })))
		if diff := cmp.Diff(req, again, cmp.AllowUnexported(request{}, want{})); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(encoded(f, func(w io.Writer) error {
		return writeAnswer(w, answer{exchangepb.Answer_OK, 1000, 900, ""})
	}), int64(100))
	f.Add([]byte{2, 0x08, 0x06, 2, 0x08, 0x06}, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, offset int64) {
		offset &= math.MaxInt64
		a, err := readAnswer(reader(b), want{offset: offset}, func() {})
		if err == nil && (a.size < 0 || a.length < 0 || a.length > a.size || a.length > 0 && offset > a.size-a.length) {
			t.Fatalf("from offset %d: %+v", offset, a)
		}
	})
}
