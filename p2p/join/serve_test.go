package join

import (
	"bufio"
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/p2p/join/joinpb"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

func frame(t testing.TB, m proto.Message) []byte {
	var b bytes.Buffer
	if _, err := protodelim.MarshalTo(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzJoinRequest(f *testing.F) {
	f.Add(frame(f, &joinpb.Request{TokenId: "t", Secret: []byte("s"), Name: "n"}))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var req joinpb.Request
		if err := delimited.Read(bufio.NewReader(bytes.NewReader(raw)), maxMessage, &req); err != nil {
			return
		}
		if proto.Size(&req) > maxMessage {
			t.Error("a request beyond the limit was accepted")
		}
		got := answer(t.Context(), "somebody", Request{TokenID: req.GetTokenId(), Secret: req.GetSecret(), Name: req.GetName()}, func(_ context.Context, _ peer.ID, r Request) (Answer, error) {
			if len(r.Name) > maxName || strings.ContainsAny(r.Name, "\x00\n\x1b") {
				t.Errorf("name %q reached the handler", r.Name)
			}
			return Answer{}, &Refusal{"no"}
		})
		if got.GetRefused() == nil {
			t.Error("accepted")
		}
	})
}
