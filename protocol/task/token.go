package task

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// NewID makes a random id for a task, run, series or node: never 0 (unset in Flower's
// messages) and never 1 (the SuperLink's node id).
func NewID() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // never fails, see crypto/rand
		if id := binary.BigEndian.Uint64(b[:]); id > 1 {
			return id
		}
	}
}

// NewToken makes the token of a claimed task.
func NewToken() string {
	b := make([]byte, tokenBytes)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}

// HashToken returns what is stored of a token; nil for what cannot be a token.
func HashToken(token string) []byte {
	if len(token) != hex.EncodedLen(tokenBytes) {
		return nil
	}
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
