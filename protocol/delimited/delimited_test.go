package delimited

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func text(n int) *wrapperspb.StringValue { return wrapperspb.String(strings.Repeat("x", n)) }

func TestWhatIsWrittenIsRead(t *testing.T) {
	sizes := []int{0, 1, 127, 128, firstStep - 10, firstStep, 3*firstStep + 1}
	var wire bytes.Buffer
	for _, size := range sizes {
		if err := Write(&wire, text(size)); err != nil {
			t.Fatal(err)
		}
	}
	wire.WriteString("what follows")
	whole := wire.Bytes()
	for name, r := range map[string]Reader{
		"buffered":     bufio.NewReader(bytes.NewReader(whole)),
		"byte by byte": bufio.NewReader(iotest.OneByteReader(bytes.NewReader(whole))),
		"exactly":      Exactly(bytes.NewReader(whole)),
	} {
		for _, size := range sizes {
			var m wrapperspb.StringValue
			if err := Read(r, 4*firstStep, &m); err != nil || len(m.GetValue()) != size {
				t.Fatalf("%s: %d bytes instead of %d (%v)", name, len(m.GetValue()), size, err)
			}
		}
		if rest, err := io.ReadAll(r); err != nil || string(rest) != "what follows" {
			t.Errorf("%s: %q is left (%v)", name, rest, err)
		}
	}
}

func TestExactlyTakesNothingOfWhatFollows(t *testing.T) {
	var wire bytes.Buffer
	if err := Write(&wire, text(5)); err != nil {
		t.Fatal(err)
	}
	wire.WriteString("what follows")
	if err := Read(Exactly(&wire), 100, new(wrapperspb.StringValue)); err != nil {
		t.Fatal(err)
	}
	if rest := wire.String(); rest != "what follows" {
		t.Errorf("%q is left", rest)
	}
}

// writes counts calls of Write.
type writes struct {
	bytes.Buffer
	n int
}

func (w *writes) Write(p []byte) (int, error) {
	w.n++
	return w.Buffer.Write(p)
}

func TestAMessageIsOneWrite(t *testing.T) {
	var w writes
	if err := Write(&w, text(1000)); err != nil || w.n != 1 {
		t.Errorf("%d writes (%v)", w.n, err)
	}
}

func TestReadErrors(t *testing.T) {
	good, err := proto.Marshal(text(20))
	if err != nil {
		t.Fatal(err)
	}
	whole := append(binary.AppendUvarint(nil, uint64(len(good))), good...)
	tooLong := bytes.Repeat([]byte{0x80}, binary.MaxVarintLen64)
	for name, tt := range map[string]struct {
		wire []byte
		want error
	}{
		"nothing":              {nil, io.EOF},
		"end in the length":    {[]byte{0x80}, io.ErrUnexpectedEOF},
		"end after the length": {whole[:1], io.ErrUnexpectedEOF},
		"end in the message":   {whole[:10], io.ErrUnexpectedEOF},
		"over the limit":       {binary.AppendUvarint(nil, 101), ErrTooLarge},
		"far over the limit":   {binary.AppendUvarint(nil, math.MaxUint64), ErrTooLarge},
		"an endless length":    {append(tooLong, 1), ErrMalformed},
		"a length of 70 bits":  {append(tooLong[:binary.MaxVarintLen64-1:binary.MaxVarintLen64-1], 0x7f), ErrMalformed},
		"not protobuf":         {[]byte{2, 0xff, 0xff}, ErrMalformed},
	} {
		for kind, r := range map[string]Reader{"buffered": bufio.NewReader(bytes.NewReader(tt.wire)), "exactly": Exactly(bytes.NewReader(tt.wire))} {
			var m wrapperspb.StringValue
			if err := Read(r, 100, &m); !errors.Is(err, tt.want) || errors.Is(err, io.EOF) != (errors.Is(tt.want, io.EOF)) {
				t.Errorf("%s, %s: %v, want %v", name, kind, err, tt.want)
			}
		}
	}
	broken := errors.New("reset")
	r := bufio.NewReader(io.MultiReader(bytes.NewReader([]byte{0x81}), iotest.ErrReader(broken)))
	if err := Read(r, 100, new(wrapperspb.StringValue)); !errors.Is(err, broken) || errors.Is(err, ErrMalformed) {
		t.Errorf("a stream that breaks in the length: %v", err)
	}
}

func TestALengthAloneCostsNoMemory(t *testing.T) {
	const limit, rounds = 64 << 20, 20
	header := binary.AppendUvarint(nil, limit)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		if _, err := ReadBytes(bufio.NewReader(bytes.NewReader(header)), limit); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / rounds; each > 4*firstStep {
		t.Errorf("a length alone caused %d bytes to be allocated", each)
	}
}
