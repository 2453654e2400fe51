package nodetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"

	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// Memory is an object store without a disk. It outlives whoever uses it, as a disk does.
// It is not for transfers: it has no Partial and no Verify.
type Memory struct {
	objects.Store

	mu      sync.Mutex
	content map[string][]byte
	// FailPut, if set, is what Put returns, for instance because of a full disk.
	FailPut error
}

var _ objects.Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{content: make(map[string][]byte)} }

// IDs lists all objects in the store.
func (m *Memory) IDs() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for id := range m.content {
		ids = append(ids, id)
	}
	return ids
}

// Has implements objects.Store.
func (m *Memory) Has(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, has := m.content[id]
	return has
}

// Size implements objects.Store.
func (m *Memory) Size(id string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, has := m.content[id]
	if !has {
		return 0, objects.ErrNotFound
	}
	return int64(len(content)), nil
}

// Put implements objects.Store.
func (m *Memory) Put(_ context.Context, id string, size int64, r io.Reader) error {
	content, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	if hex.EncodeToString(sum[:]) != id {
		return objects.ErrMismatch
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.FailPut != nil {
		return m.FailPut
	}
	m.content[id] = content
	return nil
}

// Open implements objects.Store.
func (m *Memory) Open(id string) (objects.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, has := m.content[id]
	if !has {
		return nil, objects.ErrNotFound
	}
	return file{bytes.NewReader(content)}, nil
}

// Damage puts other content in the place of an object, as a broken disk may.
func (m *Memory) Damage(id string, content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.content[id] = content
}

// Remove implements objects.Store.
func (m *Memory) Remove(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.content, id)
	return nil
}

type file struct{ *bytes.Reader }

func (f file) Close() error { return nil }
func (f file) Size() int64  { return f.Reader.Size() }
