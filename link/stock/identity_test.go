package stock

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

const invalid = `401 {"detail":"Invalid SuperNode authentication"}`

// These are headers that a flower-supernode of flwr 1.41 has made.
const stockKey = "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUhZd0VBWUhLb1pJemowQ0FRWUZLNEVFQUNJRFlnQUV3aEVhbVUrQjJXQTdWZTEvU0d1ZWl5Qzk4UGUxT3lSUAp" +
	"FNmQ1Y1lwMzhPdzd4S1FsaTNvSmhUckF0QkpmSld5ekZ1dFhOVTQrUEVsSjlLOEEwRysrZTdHRW91UjZpb0t6CkE0R2hLdzF2ZklPdGFFRWQrNXYxV3RsVXk0d0tvYjltCi0tLS0tRU5EIFBVQkxJQyBLRVktLS0tLQo="

var stockSignatures = map[string]string{
	"2026-11-24T08:13:52.610469+00:00": "MGQCMFR10b9ns3iBJTmhDANL+3QwFLc9bTSNnOQJTl18S/CZ0BdNTpK/9BRave2ezFjaDwIwElTsQ5AhtqJJz/ksL+BfaZUE5+Y7u5C3OrrFe7SjTDdsz3vS3jNbUBl0ioeT1rk+",
	"2026-11-24T08:13:52+00:00":        "MGUCMQC2NAjF6WeJGL+OyjsNfSgUKVuBaGUJxxrr12vIG6opyVXp3/zi/YAT4bNrHXOEUrsCMEswYVYkSBgO2HEe3A/2u4sZTQTVJP5io82eV/fGXVjQremrRMgY+accHuSo5/PCuQ==",
}

func TestStockSignatures(t *testing.T) {
	signed := time.Date(2026, 11, 24, 8, 13, 52, 0, time.UTC)
	for timestamp, signature := range stockSignatures {
		header := http.Header{}
		header.Set(flwr.HeaderPublicKey, stockKey)
		header.Set(flwr.HeaderTimestamp, timestamp)
		header.Set(flwr.HeaderSignature, signature)
		if _, err := verify(header, signed.Add(time.Minute)); err != nil {
			t.Errorf("signed at %s: %v", timestamp, err)
		}
		for _, now := range []time.Time{signed.Add(-5 * time.Second), signed.Add(306 * time.Second)} {
			if _, err := verify(header, now); err == nil {
				t.Errorf("a signature made at %s was accepted at %s", timestamp, now)
			}
		}
		header.Set(flwr.HeaderTimestamp, strings.Replace(timestamp, ":52", ":53", 1))
		if _, err := verify(header, signed.Add(time.Minute)); err == nil {
			t.Error("a signature of another time was accepted")
		}
	}
}

func TestStrangers(t *testing.T) {
	h := newHub(t, false)
	n, stranger := newSuperNode(t, h).join(), newSuperNode(t, h).join()
	request := &flwrpb.PullMessagesRequest{Node: n.node()}
	for name, spoil := range map[string]func(http.Header){
		"no key":          func(h http.Header) { h.Del(flwr.HeaderPublicKey) },
		"no time":         func(h http.Header) { h.Del(flwr.HeaderTimestamp) },
		"no signature":    func(h http.Header) { h.Del(flwr.HeaderSignature) },
		"two keys":        func(h http.Header) { h.Add(flwr.HeaderPublicKey, h.Get(flwr.HeaderPublicKey)) },
		"two signatures":  func(h http.Header) { h.Add(flwr.HeaderSignature, h.Get(flwr.HeaderSignature)) },
		"too old":         func(h http.Header) { n.sign(h, time.Now().Add(-signatureAge)) },
		"from the future": func(h http.Header) { n.sign(h, time.Now().Add(signatureSkew+time.Second)) },
		"time of no zone": func(h http.Header) {
			h.Set(flwr.HeaderTimestamp, strings.TrimSuffix(h.Get(flwr.HeaderTimestamp), "+00:00"))
		},
		"loose base64": func(h http.Header) {
			h.Set(flwr.HeaderSignature, strings.TrimRight(h.Get(flwr.HeaderSignature), "=")+"!")
		},
		"another's key":    func(h http.Header) { h.Set(flwr.HeaderPublicKey, base64.StdEncoding.EncodeToString(stranger.pem)) },
		"another node":     func(h http.Header) { stranger.sign(h, time.Now()) },
		"unregistered key": func(h http.Header) { newSuperNode(t, &hub{}).sign(h, time.Now()) },
		"second form": func(h http.Header) {
			h.Set(flwr.HeaderPublicKey, base64.StdEncoding.EncodeToString(append(slices.Clip(n.pem), '\n')))
		},
		"Ed25519": func(h http.Header) { h.Set(flwr.HeaderPublicKey, ed25519Key(t)) },
		"no PEM":  func(h http.Header) { h.Set(flwr.HeaderPublicKey, "aGVsbG8=") },
		"huge":    func(h http.Header) { h.Set(flwr.HeaderPublicKey, strings.Repeat("A", 32<<10)) },
	} {
		n.attempt = spoil
		if got := n.refused(flwr.PathFleetPullMessages, request); got != invalid {
			t.Errorf("%s: %s", name, got)
		}
	}
	n.attempt = nil
	for path, req := range map[string]proto.Message{
		flwr.PathFleetRegisterNode:      &flwrpb.RegisterNodeFleetRequest{PublicKey: stranger.pem},
		flwr.PathFleetActivateNode:      &flwrpb.ActivateNodeRequest{PublicKey: stranger.pem, HeartbeatInterval: 30},
		flwr.PathFleetDeactivateNode:    &flwrpb.DeactivateNodeRequest{NodeId: stranger.id},
		flwr.PathFleetUnregisterNode:    &flwrpb.UnregisterNodeFleetRequest{NodeId: stranger.id},
		flwr.PathFleetSendNodeHeartbeat: &flwrpb.SendNodeHeartbeatRequest{Node: stranger.node(), HeartbeatInterval: 30},
		flwr.PathFleetPushObject:        &flwrpb.PushObjectRequest{Node: stranger.node(), ObjectContent: []byte("x")},
		flwr.PathFleetGetRun:            &flwrpb.GetRunRequest{},
	} {
		if got := n.refused(path, req); got != invalid {
			t.Errorf("%s in the name of another node: %s", path, got)
		}
	}
}

func ed25519Key(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// A signature is good for one request, of any kind and in any form that somebody who copied it can
// give it. A fresh signature made at the same moment is a different one.
func TestASignatureIsUsedOnce(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	at := time.Now()
	copied := http.Header{}
	n.sign(copied, at)
	n.attempt = func(header http.Header) {
		for _, name := range []string{flwr.HeaderPublicKey, flwr.HeaderTimestamp, flwr.HeaderSignature} {
			header.Set(name, copied.Get(name))
		}
	}
	heartbeat := &flwrpb.SendNodeHeartbeatRequest{Node: n.node(), HeartbeatInterval: 30}
	n.must(flwr.PathFleetSendNodeHeartbeat, heartbeat, &flwrpb.SendNodeHeartbeatResponse{})
	const again = `503 {"detail":"The signature of this request was used before; sign again."}`
	if got := n.refused(flwr.PathFleetSendNodeHeartbeat, heartbeat); got != again {
		t.Errorf("the same request: %s", got)
	}
	copied.Set(flwr.HeaderSignature, negate(t, n.key.Curve, copied.Get(flwr.HeaderSignature)))
	for path, req := range map[string]proto.Message{
		flwr.PathFleetUnregisterNode: &flwrpb.UnregisterNodeFleetRequest{NodeId: n.id},
		flwr.PathFleetActivateNode:   &flwrpb.ActivateNodeRequest{PublicKey: n.pem, HeartbeatInterval: 30},
	} {
		if got := n.refused(path, req); got != again {
			t.Errorf("%s with the other form of the signature: %s", path, got)
		}
	}
	n.sign(copied, at)
	n.must(flwr.PathFleetSendNodeHeartbeat, heartbeat, &flwrpb.SendNodeHeartbeatResponse{})
}

// negate turns one valid signature into the other.
func negate(t *testing.T, curve elliptic.Curve, encoded string) string {
	t.Helper()
	signature, err := base64.StdEncoding.DecodeString(encoded)
	must(t, err)
	var parts struct{ R, S *big.Int }
	_, err = asn1.Unmarshal(signature, &parts)
	must(t, err)
	parts.S.Sub(curve.Params().N, parts.S)
	signature, err = asn1.Marshal(parts)
	must(t, err)
	return base64.StdEncoding.EncodeToString(signature)
}

func TestEveryCurve(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P224(), elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		t.Run(curve.Params().Name, func(t *testing.T) {
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			must(t, err)
			der, err := x509.MarshalPKIXPublicKey(key.Public())
			must(t, err)
			n := &superNode{t: t, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}
			header := http.Header{}
			n.sign(header, time.Now())
			if who, err := verify(header, time.Now()); err != nil || who.publicKey != string(n.pem) {
				t.Error(fmt.Sprint(who), err)
			}
		})
	}
}
