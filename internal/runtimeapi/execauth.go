package runtimeapi

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

// deriveKey derives the key that signs, so that the secret itself never does.
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

// execAuth checks signed requests; each nonce is valid only once.
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
	ts, nonce := once(header, flwr.HeaderSuperExecTimestamp), once(header, flwr.HeaderSuperExecNonce)
	seconds, err := strconv.ParseInt(ts, 10, 64)
	if err != nil || nonce == "" || len(nonce) > maxNonce {
		return refused
	}
	now := time.Now()
	age := now.Sub(time.Unix(seconds, 0))
	if age <= -signatureSkew || age >= signatureAge {
		return refused
	}
	digest := sha256.Sum256(body)
	sum := hex.EncodeToString(digest[:])
	given, err := hex.DecodeString(once(header, flwr.HeaderSuperExecSignature))
	if err != nil || sum != once(header, flwr.HeaderSuperExecBodySHA256) || !hmac.Equal(given, signature(a.key, ts, nonce, sum)) {
		return refused
	}
	// Last, so that a stranger cannot fill the memory with nonces.
	if !a.useOnce(nonce, now) {
		return refused
	}
	return nil
}

// once returns the value of a header that occurs exactly once, or an empty string.
func once(header http.Header, name string) string {
	if values := header.Values(name); len(values) == 1 {
		return values[0]
	}
	return ""
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
