package policy

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestVerify(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("bundle"))
	sign := func(at uint64, d [32]byte) string {
		sig := ed25519.Sign(private, append(binary.BigEndian.AppendUint64(nil, at), d[:]...))
		return fmt.Sprintf(`{"signed_at": %d, "signature": %q}`, at, base64.URLEncoding.EncodeToString(sig))
	}
	entities := Entities{"fpk_1": public}

	for name, tc := range map[string]struct {
		entities      Entities
		verifications map[string]string
		trusted       bool
	}{
		"no entities":    {nil, nil, true},
		"signed":         {entities, map[string]string{"valid_license": "yes", "fpk_1": sign(7, digest)}, true},
		"one of several": {entities, map[string]string{"valid_license": "yes", "other": "{}", "fpk_1": sign(7, digest)}, true},
		"nothing":        {entities, nil, false},
		"no licence":     {entities, map[string]string{"fpk_1": sign(7, digest)}, false},
		"other key id":   {entities, map[string]string{"valid_license": "yes", "fpk_2": sign(7, digest)}, false},
		"other bundle":   {entities, map[string]string{"valid_license": "yes", "fpk_1": sign(7, sha256.Sum256(nil))}, false},
		"time changed":   {entities, map[string]string{"valid_license": "yes", "fpk_1": strings.Replace(sign(7, digest), "7", "8", 1)}, false},
		"no JSON":        {entities, map[string]string{"valid_license": "yes", "fpk_1": "x"}, false},
		"no base64":      {entities, map[string]string{"valid_license": "yes", "fpk_1": `{"signed_at":7,"signature":"!"}`}, false},
	} {
		err := tc.entities.Verify(digest, tc.verifications)
		if trusted := err == nil; trusted != tc.trusted {
			t.Errorf("%s: error = %v, want trusted %v", name, err, tc.trusted)
		}
		if err != nil && !errors.Is(err, ErrNotTrusted) {
			t.Errorf("%s: error %v does not wrap ErrNotTrusted", name, err)
		}
	}
}

// The fingerprint changes with whom the site trusts, and with nothing else.
func TestFingerprint(t *testing.T) {
	a, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	different := map[string]string{}
	for name, entities := range map[string]Entities{
		"none": nil, "a": {"1": a}, "a by another id": {"2": a}, "b": {"1": b}, "both": {"1": a, "2": b}, "both, swapped": {"1": b, "2": a},
	} {
		mark := entities.Fingerprint()
		if other, dup := different[mark]; dup {
			t.Errorf("%s and %s have one fingerprint", name, other)
		}
		different[mark] = name
		if again := maps.Clone(entities).Fingerprint(); again != mark {
			t.Errorf("%s: %s, then %s", name, mark, again)
		}
	}
}

func TestDecide(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Repeat("ab", 32)
	for name, tc := range map[string]struct {
		entities Entities
		hash     string
		allowed  bool
		fails    bool
	}{
		"every app":    {nil, hash, true, false},
		"not signed":   {Entities{"fpk_1": public}, hash, false, false},
		"no hash":      {Entities{"fpk_1": public}, "x", false, true},
		"part of hash": {Entities{"fpk_1": public}, hash[:16], false, true},
	} {
		d, err := tc.entities.Decide(t.Context(), App{RunID: 7, Hash: tc.hash})
		if d.Allowed != tc.allowed || (err != nil) != tc.fails || err == nil && d.Rule == "" || err == nil && !d.Allowed && d.Reason == "" {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func TestLoad(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sshKey, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshKey)))
	for name, text := range map[string]string{
		"block":  "# who may sign\n---\nfpk_1: '" + line + " me@home'\n",
		"plain":  "fpk_1: " + line + "\n",
		"braces": "{ fpk_1: '" + line + "' }",
	} {
		entities, err := Load(write(t, text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !entities["fpk_1"].Equal(public) {
			t.Errorf("%s: entities = %v", name, entities)
		}
	}
	for name, text := range map[string]string{
		"empty":      "",
		"no mapping": "hello\n",
		"no key":     "fpk_1: hello\n",
		"RSA":        "fpk_1: ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7\n",
	} {
		if _, err := Load(write(t, text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("missing file: no error")
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trusted.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
