package stock

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

// signer is the holder of a key that has signed the time of a request.
type signer struct {
	publicKey string // PEM
	at        time.Time
	// nonce tells this signature from all others of the key: it is the part of an ECDSA signature
	// that only its maker can vary. (Anybody can negate the other part, and gets another valid
	// signature.)
	nonce []byte
}

// unauthenticated is the one answer to everybody who is not who they claim to be; why goes only to
// the log. It ends a stock SuperNode.
func unauthenticated(why string) error {
	return flwr.Plain(http.StatusUnauthorized, "Invalid SuperNode authentication").WithCause(errors.New(why))
}

// identify checks the signature in the headers of a request.
func identify(header http.Header) (*signer, error) {
	who, err := verify(header, time.Now())
	if err != nil {
		return nil, unauthenticated(err.Error())
	}
	return who, nil
}

func verify(header http.Header, now time.Time) (*signer, error) {
	var values [3]string
	for i, name := range []string{flwr.HeaderPublicKey, flwr.HeaderTimestamp, flwr.HeaderSignature} {
		given := header.Values(name)
		if len(given) != 1 || len(given[0]) > maxHeader {
			return nil, fmt.Errorf("want one header %s of at most %d bytes", name, maxHeader)
		}
		values[i] = given[0]
	}
	encodedKey, timestamp, encodedSignature := values[0], values[1], values[2]

	// The time comes first: old headers fail by it, and it costs the least.
	at, err := time.Parse(time.RFC3339Nano, timestamp)
	if err != nil {
		return nil, fmt.Errorf("timestamp: %w", err)
	}
	if age := now.Sub(at); age <= -signatureSkew || age >= signatureAge {
		return nil, fmt.Errorf("the request was signed %s ago by its sender's clock", age.Round(time.Millisecond))
	}
	publicKey, err := base64.StdEncoding.Strict().DecodeString(encodedKey)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	key, err := parseKey(publicKey)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(encodedSignature)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	digest := sha256.Sum256([]byte(timestamp))
	if !ecdsa.VerifyASN1(key, digest[:], signature) {
		return nil, errors.New("the signature does not match this key and time")
	}
	var parts struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &parts); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	return &signer{publicKey: string(publicKey), at: at, nonce: parts.R.Bytes()}, nil
}

// parseKey reads the PEM of an elliptic-curve key. It accepts only the one form that every
// serializer makes, so that one key cannot pass for several.
func parseKey(text []byte) (*ecdsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})) != string(text) {
		return nil, errors.New("it is not the PEM of a public key")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%T is not an elliptic-curve key", key)
	}
	return ec, nil
}

// authenticate finds the node whose key signed a request, and accepts each signature once.
func (s *server) authenticate(r *http.Request) (state.Node, error) {
	if err := flwr.CheckContentType(r); err != nil {
		return state.Node{}, err
	}
	who, err := identify(r.Header)
	if err != nil {
		return state.Node{}, err
	}
	node, err := s.cfg.Store.NodeByKey(r.Context(), []byte(who.publicKey))
	switch {
	case errors.Is(err, state.ErrNotFound):
		return state.Node{}, unauthenticated("no node has this key")
	case err != nil:
		return state.Node{}, fmt.Errorf("look up the node of a key: %w", err)
	case !mayUse(node):
		return state.Node{}, unauthenticated(fmt.Sprintf("node %d was unregistered or does not use this API", node.ID))
	}
	return node, s.once(who)
}

// mayUse reports whether a node may use the Fleet API: a node that joined the overlay by its peer
// id has its session instead.
func mayUse(node state.Node) bool {
	return node.Status != state.NodeUnregistered && node.PeerID == ""
}

// once refuses a signature that was used before. No honest client repeats one: a stock SuperNode, at
// whatever layer it retries, signs each attempt anew. If some proxy repeats a request of its own
// accord, a 401 would end the node that it serves; 503 makes the node sign again, and helps an
// eavesdropper no further.
func (s *server) once(who *signer) error {
	if s.guard.use(who.publicKey, who.at, who.nonce, time.Now()) {
		return nil
	}
	log.Warn("a signature was used twice; unless somebody copies requests on purpose, a proxy in front of the link repeats them", "signed", who.at)
	return flwr.Plain(http.StatusServiceUnavailable, "The signature of this request was used before; sign again.")
}
