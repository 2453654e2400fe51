package lightnode

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// memory is an [objects.Store] without a disk.
type memory struct {
	mu      sync.Mutex
	content map[string][]byte
	claimed map[string]chan struct{} // closed when the Partial ends
}

func newMemory() *memory {
	return &memory{content: make(map[string][]byte), claimed: make(map[string]chan struct{})}
}

func (m *memory) get(id string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, has := m.content[id]
	return content, has
}

func (m *memory) put(id string, content []byte) error {
	if object.Sum(content) != id {
		return objects.ErrMismatch
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.content[id] = content
	return nil
}

func (m *memory) Has(id string) bool { _, has := m.get(id); return has }

func (m *memory) Size(id string) (int64, error) {
	content, has := m.get(id)
	if !has {
		return 0, objects.ErrNotFound
	}
	return int64(len(content)), nil
}

func (m *memory) Put(_ context.Context, id string, size int64, r io.Reader) error {
	content := make([]byte, size)
	if _, err := io.ReadFull(r, content); err != nil {
		return err
	}
	return m.put(id, content)
}

func (m *memory) Open(id string) (objects.File, error) {
	content, has := m.get(id)
	if !has {
		return nil, objects.ErrNotFound
	}
	return memoryFile{bytes.NewReader(content)}, nil
}

func (m *memory) Verify(id string) error {
	_, err := m.Size(id)
	return err
}

func (m *memory) Remove(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.content, id)
	return nil
}

func (m *memory) Partial(ctx context.Context, id string) (objects.Partial, error) {
	for {
		p, busy := m.claim(id)
		if busy == nil {
			return p, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (m *memory) TryPartial(_ context.Context, id string) (objects.Partial, error) {
	p, busy := m.claim(id)
	if busy != nil {
		return nil, objects.ErrBusy
	}
	return p, nil
}

// claim makes the Partial of an object; both results are nil when the object is already there.
func (m *memory) claim(id string) (p objects.Partial, busy <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, has := m.content[id]; has {
		return nil, nil
	}
	if busy := m.claimed[id]; busy != nil {
		return nil, busy
	}
	m.claimed[id] = make(chan struct{})
	return &memoryPartial{store: m, id: id}, nil
}

func (m *memory) release(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ended := m.claimed[id]; ended != nil {
		close(ended)
		delete(m.claimed, id)
	}
}

// memoryPartial forgets what it has received if it ends without Commit.
type memoryPartial struct {
	store *memory
	id    string
	size  int64
	buf   bytes.Buffer
}

func (p *memoryPartial) Offset() int64 { return int64(p.buf.Len()) }

func (p *memoryPartial) Expect(_ context.Context, size int64) error {
	p.size = size
	return nil
}

func (p *memoryPartial) Write(b []byte) (int, error) {
	if int64(p.buf.Len()+len(b)) > p.size {
		return 0, fmt.Errorf("%w: more than %d bytes", objects.ErrMismatch, p.size)
	}
	return p.buf.Write(b)
}

func (p *memoryPartial) Commit(context.Context) error {
	defer p.store.release(p.id)
	return p.store.put(p.id, p.buf.Bytes())
}

func (p *memoryPartial) Close() error   { p.store.release(p.id); return nil }
func (p *memoryPartial) Discard() error { return p.Close() }

type memoryFile struct{ *bytes.Reader }

func (f memoryFile) Close() error { return nil }
func (f memoryFile) Size() int64  { return f.Reader.Size() }

var _ objects.Store = (*memory)(nil)
