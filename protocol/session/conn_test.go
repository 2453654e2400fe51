package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

func ping(nonce uint64) *sessionpb.Frame {
	return &sessionpb.Frame{Body: &sessionpb.Frame_Ping{Ping: &sessionpb.Ping{Nonce: nonce}}}
}

func bye(detail string) *sessionpb.Frame {
	return &sessionpb.Frame{Body: &sessionpb.Frame_Bye{Bye: &sessionpb.Bye{Detail: detail}}}
}

// stream plays back what was recorded, or records.
type stream struct{ bytes.Buffer }

func (*stream) Close() error { return nil }

func recorded(b []byte) *stream {
	s := &stream{}
	s.Write(b)
	return s
}

func framed(content []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(content))), content...)
}

func TestFramesOfManyWritersArriveWhole(t *testing.T) {
	near, far := net.Pipe()
	out, in := NewConn(near, Limits{}), NewConn(far, Limits{})
	const writers, each = 8, 50
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for i := range each {
				// The sizes lie on both sides of what the Conn keeps a buffer for.
				if err := out.WriteFrame(bye(fmt.Sprint(w, ",", i, strings.Repeat("x", i*200)))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	go func() {
		done.Wait()
		out.Close()
	}()
	next := make(map[string]int)
	for {
		frame, err := in.ReadFrame()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		w, rest, _ := strings.Cut(frame.GetBye().GetDetail(), ",")
		if want := fmt.Sprint(next[w], strings.Repeat("x", next[w]*200)); rest != want {
			t.Fatalf("writer %s: frame %d came as %.20q", w, next[w], rest)
		}
		next[w]++
	}
	for w := range writers {
		if next[fmt.Sprint(w)] != each {
			t.Errorf("writer %d: %d frames of %d came", w, next[fmt.Sprint(w)], each)
		}
	}
}

func TestReadFrameErrors(t *testing.T) {
	whole, err := proto.Marshal(bye("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		bytes []byte
		want  error
	}{
		"end between frames":  {nil, io.EOF},
		"end in the length":   {[]byte{0x80}, io.ErrUnexpectedEOF},
		"end in the frame":    {framed(whole)[:3], io.ErrUnexpectedEOF},
		"end after length":    {[]byte{9}, io.ErrUnexpectedEOF},
		"over the limit":      {binary.AppendUvarint(nil, DefaultMaxFrame+1), ErrFrameTooLarge},
		"far over the limit":  {binary.AppendUvarint(nil, 1<<63), ErrFrameTooLarge},
		"not protobuf":        {framed([]byte{0xff, 0xff}), ErrMalformed},
		"an empty frame":      {[]byte{0}, ErrMalformed},
		"invalid UTF-8":       {framed([]byte{0x72, 0x03, 0x0a, 0x01, 0xff}), ErrMalformed},
		"body of wrong shape": {framed([]byte{0x50, 0x01, 0x52, 0x01}), ErrMalformed},
	} {
		frame, err := NewConn(recorded(tt.bytes), Limits{}).ReadFrame()
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v", name, frame, err)
		}
	}
	tooLong := bytes.Repeat([]byte{0x80}, 11)
	if _, err := NewConn(recorded(tooLong), Limits{}).ReadFrame(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a length of 11 bytes: %v", err)
	}
}

func TestFramesOfANewerVersionAreSkipped(t *testing.T) {
	s := recorded(framed([]byte{0xfa, 0x01, 0x02, 0x08, 0x01})) // field 31, unknown today
	if err := NewConn(s, Limits{}).WriteFrame(ping(7)); err != nil {
		t.Fatal(err)
	}
	frame, err := NewConn(s, Limits{}).ReadFrame()
	if err != nil || frame.GetPing().GetNonce() != 7 {
		t.Errorf("%v, %v", frame, err)
	}
}

func TestAFrameOverTheLimitLeavesTheStreamGood(t *testing.T) {
	s := &stream{}
	conn := NewConn(s, Limits{MaxFrame: 100})
	if err := conn.WriteFrame(bye(strings.Repeat("x", 100))); !errors.Is(err, ErrFrameTooLarge) {
		t.Fatal(err)
	}
	if err := conn.WriteFrame(ping(1)); err != nil {
		t.Fatal(err)
	}
	frame, err := conn.ReadFrame()
	if diff := cmp.Diff(ping(1), frame, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// torn takes a few bytes and then breaks.
type torn struct {
	stream
	left int
}

var errTorn = errors.New("torn")

func (c *torn) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	if n < len(p) {
		return n, errTorn
	}
	return n, nil
}

func TestNothingFollowsATornFrame(t *testing.T) {
	conn := NewConn(&torn{left: 6}, Limits{})
	if err := conn.WriteFrame(ping(1)); err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteFrame(ping(1)); !errors.Is(err, errTorn) || errors.Is(err, ErrBroken) {
		t.Fatal(err)
	}
	if err := conn.WriteFrame(ping(1)); !errors.Is(err, ErrBroken) || !errors.Is(err, errTorn) {
		t.Fatal(err)
	}
}

// endless yields a length and then nothing.
type endless struct{ stream }

func TestALengthAloneCostsNoMemory(t *testing.T) {
	header := binary.AppendUvarint(nil, DefaultMaxFrame)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		s := &endless{}
		s.Write(header)
		if _, err := NewConn(s, Limits{}).ReadFrame(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 20; each > DefaultMaxFrame/16 {
		t.Errorf("a length made ReadFrame allocate %d bytes", each)
	}
}

func FuzzReadFrame(f *testing.F) {
	for _, frame := range []*sessionpb.Frame{
		ping(1), bye("x"),
		{Body: &sessionpb.Frame_Hello{Hello: &sessionpb.Hello{Version: 1, Accepted: []string{"a"}, RunIds: []uint64{1, 2}}}},
		{Body: &sessionpb.Frame_Offer{Offer: &sessionpb.Offer{Message: []byte{1}, FabVerifications: map[string]string{"a": "b"}}}},
	} {
		s := &stream{}
		if err := NewConn(s, Limits{}).WriteFrame(frame); err != nil {
			f.Fatal(err)
		}
		f.Add(s.Bytes())
	}
	f.Add([]byte{0x80, 0x80, 0x80, 0x08})
	f.Fuzz(func(t *testing.T, b []byte) {
		conn := NewConn(recorded(b), Limits{MaxFrame: 1 << 16})
		for range len(b) + 1 { // each frame takes at least one byte
			frame, err := conn.ReadFrame()
			if err != nil {
				return
			}
			if frame.GetBody() == nil {
				t.Fatal("a frame without a body was returned")
			}
		}
		t.Fatal("the stream does not end")
	})
}

func BenchmarkWriteFrame(b *testing.B) {
	conn := NewConn(discard{}, Limits{})
	for _, bench := range []struct {
		name  string
		frame *sessionpb.Frame
	}{
		{"ping", ping(1)},
		{"offer", &sessionpb.Frame{Body: &sessionpb.Frame_Offer{Offer: &sessionpb.Offer{
			Message: make([]byte, 200), Tree: make([]byte, 20_000), Run: make([]byte, 300),
		}}}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := conn.WriteFrame(bench.frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type discard struct{}

func (discard) Read([]byte) (int, error)    { return 0, io.EOF }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }
