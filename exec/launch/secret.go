package launch

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/rhizome-fl/rhizome/internal/datadir"
)

// OwnSecret reads the secret by which a host recognises its own SuperExec, or makes one at the
// first start. It is kept, since a SuperExec may outlive the host that started it.
func OwnSecret(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	switch {
	case err == nil && len(secret) < secretBytes:
		return nil, fmt.Errorf("file %s holds no secret of a SuperExec: delete it to get a new one", path)
	case err == nil:
		return secret, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the secret of the SuperExec: %w", err)
	}
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails, see crypto/rand
	secret = []byte(hex.EncodeToString(raw))
	if err := datadir.CreateFile(path, secret, 0o600); err != nil {
		return nil, fmt.Errorf("keep a secret for the SuperExec: %w", err)
	}
	return secret, nil
}
