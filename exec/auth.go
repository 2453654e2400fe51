package exec

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

// signer signs acquire-task requests with a key derived from the shared secret.
type signer struct{ key []byte }

func newSigner(secret []byte) *signer {
	return &signer{key: sum(secret, "superexec-auth-v1")}
}

// sign adds the headers for a body that is about to be sent.
func (s *signer) sign(header http.Header, body []byte, now time.Time) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	s.signWith(header, body, now.Unix(), hex.EncodeToString(nonce))
}

func (s *signer) signWith(header http.Header, body []byte, unix int64, nonce string) {
	digest := sha256.Sum256(body)
	bodyHash := hex.EncodeToString(digest[:])
	text := fmt.Sprintf("method=/flwr.proto.Runtime/AcquireTask\nts=%d\nnonce=%s\nbody_sha256=%s", unix, nonce, bodyHash)
	header.Set(flwr.HeaderSuperExecTimestamp, strconv.FormatInt(unix, 10))
	header.Set(flwr.HeaderSuperExecNonce, nonce)
	header.Set(flwr.HeaderSuperExecBodySHA256, bodyHash)
	header.Set(flwr.HeaderSuperExecSignature, hex.EncodeToString(sum(s.key, text)))
}

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
