// Package identity keeps what a peer is known by from one start to the next: its key, of which
// the peer id is the hash, and the port that it listens on.
//
// It guarantees that an existing file is never replaced, not even by processes that start at the
// same moment, and that a new file is whole and durable before anybody uses what it holds. It is not
// responsible for where the files are, nor for keeping others away from them.
package identity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/datadir"
)

// Identity is what a peer is known by: a key, and the peer id that is its hash.
type Identity struct {
	Key crypto.PrivKey
	ID  peer.ID
}

// New makes an Ed25519 identity that is not stored anywhere.
func New() (Identity, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("generate identity: %w", err)
	}
	return of(key)
}

// LoadOrCreate reads the identity in the file at path, or makes one and writes it there, readable
// by its owner only. A file that exists but holds no key is an error and stays as it is: a peer
// that lost its key is another peer to everybody who knew it.
func LoadOrCreate(path string) (Identity, error) {
	id, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if id, err = New(); err != nil {
		return Identity{}, err
	}
	raw, err := crypto.MarshalPrivateKey(id.Key)
	if err != nil {
		return Identity{}, fmt.Errorf("encode identity: %w", err)
	}
	if err := datadir.CreateFile(path, raw, 0o600); errors.Is(err, fs.ErrExist) {
		return Load(path) // another process was faster
	} else if err != nil {
		return Identity{}, fmt.Errorf("write identity: %w", err)
	}
	return id, nil
}

// Load reads the identity in the file at path. If the file is missing, the error is
// [fs.ErrNotExist].
func Load(path string) (Identity, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Identity{}, fmt.Errorf("read identity: %w", err)
	}
	key, err := crypto.UnmarshalPrivateKey(raw)
	if err != nil {
		return Identity{}, fmt.Errorf("identity %s is damaged (%w): restore it from a backup, or move it away to become a new peer", path, err)
	}
	return of(key)
}

func of(key crypto.PrivKey) (Identity, error) {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return Identity{}, fmt.Errorf("peer id of identity: %w", err)
	}
	return Identity{Key: key, ID: id}, nil
}
