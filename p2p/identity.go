package p2p

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Identity is what a peer is known by: a key, and the peer id that is its hash.
type Identity struct {
	Key crypto.PrivKey
	ID  peer.ID
}

// NewIdentity makes an Ed25519 identity that is kept nowhere.
func NewIdentity() (Identity, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("generate identity: %w", err)
	}
	return identityOf(key)
}

// LoadOrCreateIdentity reads the identity in the file at path, or makes one and writes it
// there, readable by its owner only. A file that is there but is no key is an error and
// stays as it is: a peer that lost its key is another peer to everybody who knew it.
func LoadOrCreateIdentity(path string) (Identity, error) {
	id, err := LoadIdentity(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if id, err = NewIdentity(); err != nil {
		return Identity{}, err
	}
	raw, err := crypto.MarshalPrivateKey(id.Key)
	if err != nil {
		return Identity{}, fmt.Errorf("encode identity: %w", err)
	}
	if err := writeNew(path, raw); errors.Is(err, fs.ErrExist) {
		return LoadIdentity(path) // another process was faster
	} else if err != nil {
		return Identity{}, fmt.Errorf("write identity: %w", err)
	}
	return id, nil
}

// LoadIdentity reads the identity in the file at path. An error of a missing file is
// [fs.ErrNotExist].
func LoadIdentity(path string) (Identity, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Identity{}, fmt.Errorf("read identity: %w", err)
	}
	key, err := crypto.UnmarshalPrivateKey(raw)
	if err != nil {
		return Identity{}, fmt.Errorf("identity %s is damaged (%w): restore it from a backup, or move it away to become a new peer", path, err)
	}
	return identityOf(key)
}

func identityOf(key crypto.PrivKey) (Identity, error) {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return Identity{}, fmt.Errorf("peer id of identity: %w", err)
	}
	return Identity{Key: key, ID: id}, nil
}

// writeNew writes a file that must not be there yet, whole or not at all, and durably.
func writeNew(path string, content []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	// Unlike a rename, a link fails if path exists; some file systems have no links.
	if err := os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
		return err
	} else if err != nil {
		if err := os.Rename(tmp.Name(), path); err != nil {
			return err
		}
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
