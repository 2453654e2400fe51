package swarm

import (
	"bufio"
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/rhizome-fl/rhizome/p2p/swarm/swarmpb"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

var somebody = func() peer.ID {
	id, err := peer.Decode("12D3KooWJ2zVYWBCVM4jDixuLbwLcvvscMK6Y8ALmBfNXNx6LSXQ")
	if err != nil {
		panic(err)
	}
	return id
}()

func reader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

func TestMessagesComeThrough(t *testing.T) {
	var out bytes.Buffer
	ask := Ask{
		Want: []string{object.Sum([]byte("a")), object.Sum([]byte("b"))}, Got: []string{object.Sum(nil)},
		Liars: []peer.ID{somebody}, Alone: true,
	}
	must(t, writeAsk(&out, 99, ask))
	run, got, err := readAsk(reader(out.Bytes()))
	if diff := cmp.Diff(ask, got); err != nil || run != 99 || diff != "" {
		t.Errorf("run %d, %v\n%s", run, err, diff)
	}
	out.Reset()
	must(t, writeTell(&out, ask.Want))
	have, err := readTell(reader(out.Bytes()))
	if diff := cmp.Diff(ask.Want, have); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	out.Reset()
	must(t, delimited.Write(&out, &swarmpb.Tell{Refused: true}))
	if _, err := readTell(reader(out.Bytes())); !errors.Is(err, ErrRefused) {
		t.Errorf("a refusal: %v", err)
	}
}

func TestTheLargestMessageFits(t *testing.T) {
	ids := make([]string, maxAsked)
	for i := range ids {
		ids[i] = object.Sum([]byte{byte(i), byte(i >> 8)})
	}
	liars := make([]peer.ID, maxLiars)
	for i := range liars {
		liars[i] = somebody
	}
	var out bytes.Buffer
	must(t, writeAsk(&out, 1<<63, Ask{Want: ids, Got: ids, Liars: liars}))
	if _, _, err := readAsk(reader(out.Bytes())); err != nil {
		t.Error(err)
	}
}

func FuzzReadAsk(f *testing.F) {
	var good bytes.Buffer
	must(f, writeAsk(&good, 7, Ask{Want: []string{object.Sum(nil)}, Liars: []peer.ID{somebody}}))
	f.Add(good.Bytes())
	f.Add([]byte{3, 0x12, 0x01, 0xff})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		run, ask, err := readAsk(reader(b))
		if err != nil {
			return
		}
		for _, id := range append(ask.Want, ask.Got...) {
			if !object.Valid(id) {
				t.Fatalf("id %q", id)
			}
		}
		var again bytes.Buffer
		must(t, writeAsk(&again, run, ask))
		run2, ask2, err := readAsk(reader(again.Bytes()))
		if diff := cmp.Diff(ask, ask2); err != nil || run != run2 || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}

func FuzzReadTell(f *testing.F) {
	var good bytes.Buffer
	_, err := protodelim.MarshalTo(&good, &swarmpb.Tell{Have: make([]byte, 64)})
	must(f, err)
	f.Add(good.Bytes())
	f.Add([]byte{2, 0x10, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		have, err := readTell(reader(b))
		for _, id := range have {
			if err != nil || !object.Valid(id) {
				t.Fatalf("id %q, %v", id, err)
			}
		}
	})
}
