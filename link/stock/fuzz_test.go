package stock

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

var routes = []string{
	flwr.PathFleetRegisterNode, flwr.PathFleetActivateNode, flwr.PathFleetDeactivateNode, flwr.PathFleetUnregisterNode,
	flwr.PathFleetSendNodeHeartbeat, flwr.PathFleetPullMessages, flwr.PathFleetPushMessages, flwr.PathFleetGetRun,
	flwr.PathFleetGetFAB, flwr.PathFleetPushObject, flwr.PathFleetPullObject, flwr.PathFleetConfirmMessageReceived,
}

// FuzzBodies sends signed requests with any body. Whatever it is, the answer is one that a
// SuperLink gives: never 500, and 401 only to a sender that claims to be somebody else.
func FuzzBodies(f *testing.F) {
	h := newHub(f, false)
	n := newSuperNode(f, h).join()
	run := h.run(true)
	m := h.instruct(run.ID, n.id)
	reply := n.reply(m.Message.GetMetadata())
	handler := New(Config{Store: h.store, Objects: h.objects, Office: h.office})
	for i := range routes {
		for _, seed := range [][]byte{
			encode(f, n.pushRequest(reply)),
			encode(f, &flwrpb.PushObjectRequest{Node: n.node(), RunId: run.ID, ObjectId: m.ID(), ObjectContent: []byte("x"), SessionId: "s"}),
			encode(f, &flwrpb.ActivateNodeRequest{PublicKey: n.pem, HeartbeatInterval: 30}),
			{0x08, 0xff}, nil,
		} {
			f.Add(i, seed)
		}
	}
	f.Fuzz(func(t *testing.T, route int, body []byte) {
		path := routes[uint(route)%uint(len(routes))]
		held := path == flwr.PathFleetPullMessages || path == flwr.PathFleetPullObject
		ctx := t.Context()
		if held {
			ctx = leaving(t)
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", flwr.TypeProtobuf)
		n.t = t
		n.sign(r.Header, time.Now())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusPreconditionFailed,
			http.StatusRequestEntityTooLarge:
		case http.StatusServiceUnavailable:
			if !held {
				t.Errorf("%s: 503 %s", path, w.Body)
			}
		default:
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	})
}

// FuzzSignatures sends any identity.
func FuzzSignatures(f *testing.F) {
	signed := time.Date(2026, 11, 24, 8, 13, 52, 0, time.UTC)
	for timestamp, signature := range stockSignatures {
		f.Add(stockKey, timestamp, signature)
	}
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, key, timestamp, signature string) {
		header := http.Header{}
		header.Set(flwr.HeaderPublicKey, key)
		header.Set(flwr.HeaderTimestamp, timestamp)
		header.Set(flwr.HeaderSignature, signature)
		who, err := verify(header, signed)
		if err != nil {
			return
		}
		if key != stockKey {
			return // a sender that can sign may have any key
		}
		if stockSignatures[timestamp] == "" {
			t.Errorf("a signature of %q that was never made was accepted: %q", timestamp, signature)
		}
		if len(who.nonce) == 0 || who.publicKey == "" {
			t.Errorf("it was signed by %v", who)
		}
	})
}

// leaving is the context of a client that does not wait.
func leaving(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func encode(t testing.TB, msg proto.Message) []byte {
	t.Helper()
	encoded, err := flwr.Marshal(msg)
	must(t, err)
	return encoded
}
