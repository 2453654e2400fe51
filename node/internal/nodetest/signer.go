package nodetest

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Signer is an entity that a site may trust with apps.
type Signer struct {
	ID     string
	Public ed25519.PublicKey
	key    ed25519.PrivateKey
}

// NewSigner makes a Signer with a new key.
func NewSigner(t testing.TB, id string) Signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return Signer{ID: id, Public: public, key: private}
}

// Sign gives the verifications of a bundle that this entity, and no other, has signed.
func (s Signer) Sign(t testing.TB, fabHash string) map[string]string {
	t.Helper()
	digest, err := hex.DecodeString(fabHash)
	if err != nil {
		t.Fatal(err)
	}
	const at = 7
	sig := ed25519.Sign(s.key, append(binary.BigEndian.AppendUint64(nil, at), digest...))
	return map[string]string{
		"valid_license": "yes",
		s.ID:            fmt.Sprintf(`{"signed_at": %d, "signature": %q}`, at, base64.URLEncoding.EncodeToString(sig)),
	}
}

// File writes a file of trusted entities with this one alone, and returns its path.
func (s Signer) File(t testing.TB) string {
	t.Helper()
	key, err := ssh.NewPublicKey(s.Public)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "trusted.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, "%s: %s", s.ID, ssh.MarshalAuthorizedKey(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
