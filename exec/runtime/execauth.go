package runtime

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

// SignAcquireTask sets the headers by which a SuperExec proves that it knows the secret of
// its host. nonce is 32 hexadecimal digits that are never used twice.
func SignAcquireTask(header http.Header, secret, body []byte, now time.Time, nonce string) {
	ts, digest := strconv.FormatInt(now.Unix(), 10), sha256.Sum256(body)
	sum := hex.EncodeToString(digest[:])
	header.Set(flwr.HeaderSuperExecTimestamp, ts)
	header.Set(flwr.HeaderSuperExecNonce, nonce)
	header.Set(flwr.HeaderSuperExecBodySHA256, sum)
	header.Set(flwr.HeaderSuperExecSignature, hex.EncodeToString(signature(deriveKey(secret), ts, nonce, sum)))
}

// deriveKey gives the key that signs, so that the secret itself never does.
func deriveKey(secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("superexec-auth-v1"))
	return mac.Sum(nil)
}

func signature(key []byte, ts, nonce, bodySHA256 string) []byte {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "method=/flwr.proto.Runtime/AcquireTask\nts=%s\nnonce=%s\nbody_sha256=%s", ts, nonce, bodySHA256)
	return mac.Sum(nil)
}

// execAuth checks signed requests; each nonce is good once.
type execAuth struct {
	key []byte

	mu     sync.Mutex
	nonces map[string]time.Time // until when it is remembered
}

func newExecAuth(secret []byte) *execAuth {
	return &execAuth{key: deriveKey(secret), nonces: make(map[string]time.Time)}
}

func (a *execAuth) check(header http.Header, body []byte) error {
	refused := flwr.NewError(flwr.CodeAuthenticationFailed)
	ts, nonce := header.Get(flwr.HeaderSuperExecTimestamp), header.Get(flwr.HeaderSuperExecNonce)
	seconds, err := strconv.ParseInt(ts, 10, 64)
	if err != nil || len(nonce) != 32 {
		return refused
	}
	now := time.Now()
	age := now.Sub(time.Unix(seconds, 0))
	if age <= -signatureSkew || age >= signatureAge {
		return refused
	}
	digest := sha256.Sum256(body)
	sum := hex.EncodeToString(digest[:])
	given, err := hex.DecodeString(header.Get(flwr.HeaderSuperExecSignature))
	if err != nil || sum != header.Get(flwr.HeaderSuperExecBodySHA256) || !hmac.Equal(given, signature(a.key, ts, nonce, sum)) {
		return refused
	}
	// Last, so that a stranger can not fill the memory with nonces.
	if !a.useOnce(nonce, now) {
		return refused
	}
	return nil
}

func (a *execAuth) useOnce(nonce string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, used := a.nonces[nonce]; used {
		return false
	}
	if len(a.nonces) >= maxNonces {
		for old, until := range a.nonces {
			if now.After(until) {
				delete(a.nonces, old)
			}
		}
		if len(a.nonces) >= maxNonces {
			return false
		}
	}
	a.nonces[nonce] = now.Add(signatureAge + signatureSkew)
	return true
}
