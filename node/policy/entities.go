package policy

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// ErrNotTrusted says that no trusted entity vouches for a bundle.
var ErrNotTrusted = errors.New("no trusted entity has signed the app bundle")

// licenseKey is the verification that a hub sets for apps that it vouches for at all.
const licenseKey = "valid_license"

// Names of rules, as they are stored and logged.
const (
	ruleEveryApp = "every app"
	ruleEntities = "trusted entities"
)

// Entities are the public keys that may vouch for apps, by key id. Without any, every app
// is accepted. It is read-only after Load.
type Entities map[string]ed25519.PublicKey

var _ Policy = Entities(nil)

// signature is the JSON value of one verification.
type signature struct {
	SignedAt  uint64 `json:"signed_at"`
	Signature string `json:"signature"`
}

// Load reads the file of trusted entities: a YAML mapping of key ids to Ed25519 public
// keys in OpenSSH form, in block style or in braces.
func Load(path string) (Entities, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("trusted entities: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("trusted entities: %s is larger than %d bytes", path, maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("trusted entities: %w", err)
	}
	entities, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("trusted entities: %s: %w", path, err)
	}
	return entities, nil
}

// Fingerprint implements [Policy]. It depends on the keys and their ids alone: a comment in
// their file changes nothing.
func (e Entities) Fingerprint() string {
	if len(e) == 0 {
		return ruleEveryApp
	}
	sum := sha256.New()
	for _, id := range slices.Sorted(maps.Keys(e)) {
		fmt.Fprintf(sum, "%q %x\n", id, []byte(e[id]))
	}
	return ruleEntities + " " + hex.EncodeToString(sum.Sum(nil))
}

// Decide implements [Policy].
func (e Entities) Decide(_ context.Context, app App) (Decision, error) {
	if len(e) == 0 {
		return Decision{Allowed: true, Rule: ruleEveryApp}, nil
	}
	digest, err := hex.DecodeString(app.Hash)
	if err != nil || len(digest) != sha256.Size {
		return Decision{}, fmt.Errorf("bundle hash %.80q of run %d is no SHA-256", app.Hash, app.RunID)
	}
	if err := e.Verify([sha256.Size]byte(digest), app.Verifications); err != nil {
		return Decision{Rule: ruleEntities, Reason: err.Error()}, nil
	}
	return Decision{Allowed: true, Rule: ruleEntities}, nil
}

// Verify accepts a bundle with this SHA-256 if one of the entities has signed it, or if
// there are no entities. Otherwise the error wraps ErrNotTrusted.
func (e Entities) Verify(digest [32]byte, verifications map[string]string) error {
	if len(e) == 0 {
		return nil
	}
	if verifications[licenseKey] == "" {
		return fmt.Errorf("%w: the SuperLink does not vouch for it", ErrNotTrusted)
	}
	for id, value := range verifications {
		key, listed := e[id]
		if !listed {
			continue
		}
		if signed(key, digest, value) {
			return nil
		}
	}
	return ErrNotTrusted
}

func signed(key ed25519.PublicKey, digest [32]byte, value string) bool {
	var s signature
	if json.Unmarshal([]byte(value), &s) != nil {
		return false
	}
	sig, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s.Signature, "="))
	if err != nil {
		return false
	}
	message := binary.BigEndian.AppendUint64(nil, s.SignedAt)
	return ed25519.Verify(key, append(message, digest[:]...), sig)
}

// parse reads the part of YAML that such a file uses: one flat mapping of strings.
func parse(text string) (Entities, error) {
	entities := make(Entities)
	for n, line := range entries(text) {
		line = strings.TrimSpace(line)
		if line == "" || line == "---" || strings.HasPrefix(line, "#") {
			continue
		}
		id, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("entry %d: want `key-id: \"ssh-ed25519 ...\"`", n+1)
		}
		id = unquote(strings.TrimSpace(id))
		public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(unquote(strings.TrimSpace(value))))
		if err != nil {
			return nil, fmt.Errorf("entry %d (%s): not a public key in OpenSSH form: %w", n+1, id, err)
		}
		crypto, ok := public.(ssh.CryptoPublicKey)
		if !ok {
			return nil, fmt.Errorf("entry %d (%s): not an Ed25519 key", n+1, id)
		}
		key, ok := crypto.CryptoPublicKey().(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("entry %d (%s): not an Ed25519 key", n+1, id)
		}
		entities[id] = key
	}
	if len(entities) == 0 {
		return nil, errors.New("no keys in it")
	}
	return entities, nil
}

// entries splits the mapping; in braces a comma ends an entry (keys and base64 have none).
func entries(text string) []string {
	trimmed := strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(trimmed, "{"); ok {
		return strings.Split(strings.TrimSuffix(inner, "}"), ",")
	}
	return strings.Split(text, "\n")
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
