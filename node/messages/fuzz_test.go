package messages

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// FuzzParse: whatever a link offers is either refused as malformed or has everything that the
// store and the apps rely on.
func FuzzParse(f *testing.F) {
	good := nodetest.NewRun(f, 7).Instruction(f, 1, "model").Offer
	f.Add(good.GetMessage(), good.GetTree(), good.GetRun(), make([]byte, 64))
	f.Add([]byte{}, []byte{0x0a, 0x00}, []byte{0x08, 0x07}, []byte{1})
	f.Add(good.GetMessage(), good.GetTree()[:len(good.GetTree())/2], good.GetRun(), []byte(nil))
	f.Fuzz(func(t *testing.T, message, tree, run, shares []byte) {
		offer, shared, err := parse(&sessionpb.Offer{Message: message, Tree: tree, Run: run, Shared: shares}, nodetest.NodeID)
		if err != nil {
			if !errors.Is(err, ErrBadOffer) {
				t.Fatalf("the error does not blame the offer: %v", err)
			}
			return
		}
		if !bytes.Equal(offer.Message, message) || !bytes.Equal(offer.Tree, tree) {
			t.Fatal("the bytes have changed")
		}
		for _, id := range shared {
			if !slices.Contains(offer.ObjectIDs, id) {
				t.Fatalf("%s is shared but not in the tree", id)
			}
		}
		ids := append([]string{offer.MessageID, offer.Run.FABHash}, offer.ObjectIDs...)
		for _, id := range ids {
			if !object.Valid(id) {
				t.Fatalf("accepted the id %q", id)
			}
		}
		if offer.Run.ID == 0 || offer.Run.SeriesID == 0 || offer.ObjectIDs[len(offer.ObjectIDs)-1] != offer.MessageID {
			t.Fatalf("accepted %+v", offer)
		}
		if MessageID(proto.CloneOf(&sessionpb.Offer{Message: message})) != offer.MessageID {
			t.Fatal("two message ids")
		}
	})
}
