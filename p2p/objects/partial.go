package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rhizome-fl/rhizome/protocol/object"
)

// Partial implements [Store].
func (d *Dir) Partial(ctx context.Context, id string) (Partial, error) {
	if err := object.CheckID(id); err != nil {
		return nil, err
	}
	release, err := d.claim(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("receive object %s: %w", id, err)
	}
	return d.takeUp(ctx, id, release)
}

// TryPartial implements [Store].
func (d *Dir) TryPartial(ctx context.Context, id string) (Partial, error) {
	if err := object.CheckID(id); err != nil {
		return nil, err
	}
	release, free := d.tryClaim(id)
	if !free {
		return nil, fmt.Errorf("receive object %s: %w", id, ErrBusy)
	}
	return d.takeUp(ctx, id, release)
}

// takeUp makes the Partial of a claimed id, or nil when the object is there.
func (d *Dir) takeUp(ctx context.Context, id string, release func()) (Partial, error) {
	if d.Has(id) {
		release()
		return nil, nil
	}
	p := &partial{dir: d, id: id, size: -1, hash: object.NewHash(), claim: release}
	if err := p.recall(ctx); err != nil {
		release()
		return nil, fmt.Errorf("receive object %s: %w", id, err)
	}
	return p, nil
}

// partial is the [Partial] of a Dir.
type partial struct {
	dir    *Dir
	id     string
	size   int64 // -1 before Expect
	offset int64
	hash   *object.Hash
	file   *os.File // nil before Expect
	claim  func()   // gives the id free
	place  func()   // gives the writer's place free; nil before Expect
	ended  bool
}

func (p *partial) path() string { return filepath.Join(p.dir.root, "partial", p.id) }

// recall hashes what an earlier transfer left. It does so now, and not when the bytes
// come, because a sender would have to wait for it. It keeps neither file nor place: who
// holds many Partials and waits for places could wait for ever.
func (p *partial) recall(ctx context.Context) error {
	info, err := os.Lstat(p.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Size() == 0:
		return nil
	}
	release, err := admit(ctx, p.dir.receivers)
	if err != nil {
		return err
	}
	defer release()
	file, err := os.Open(p.path())
	if err != nil {
		return err
	}
	defer file.Close()
	if err := fill(ctx, io.Discard, p.hash, info.Size(), file); err != nil {
		return err
	}
	p.offset = info.Size()
	return nil
}

func (p *partial) Offset() int64 { return p.offset }

func (p *partial) Expect(ctx context.Context, size int64) error {
	if p.ended {
		return p.failed(fs.ErrClosed)
	}
	if err := p.dir.checkNew(p.id, size); err != nil {
		return err
	}
	if p.offset > size {
		p.offset, p.hash = 0, object.NewHash()
	}
	p.size = size
	if p.file == nil {
		place, err := admit(ctx, p.dir.receivers)
		if err != nil {
			return p.failed(err)
		}
		file, err := os.OpenFile(p.path(), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			place()
			return p.failed(err)
		}
		p.file, p.place = file, place
	}
	// Whatever is in the file beyond what was hashed is none of ours.
	if err := p.file.Truncate(p.offset); err != nil {
		return p.failed(err)
	}
	if _, err := p.file.Seek(p.offset, io.SeekStart); err != nil {
		return p.failed(err)
	}
	return nil
}

func (p *partial) Write(b []byte) (int, error) {
	if p.ended || p.file == nil {
		return 0, p.failed(fs.ErrClosed)
	}
	if int64(len(b)) > p.size-p.offset {
		return 0, p.failed(fmt.Errorf("%w: more than %d bytes", ErrMismatch, p.size))
	}
	n, err := p.file.Write(b)
	_, _ = p.hash.Write(b[:n]) // a hash does not fail
	p.offset += int64(n)
	if err != nil {
		return n, p.failed(err)
	}
	return n, nil
}

func (p *partial) Commit(ctx context.Context) error {
	if p.ended || p.file == nil {
		return p.failed(fs.ErrClosed)
	}
	if p.offset != p.size {
		return p.failed(fmt.Errorf("%d of %d bytes are there: %w", p.offset, p.size, io.ErrUnexpectedEOF))
	}
	if err := p.hash.Verify(p.id); err != nil {
		return errors.Join(p.failed(err), p.Discard())
	}
	defer func() { _ = p.end() }() // what is published has been synced
	return p.dir.publish(ctx, p.id, p.file)
}

func (p *partial) Close() error {
	if p.ended {
		return nil
	}
	return p.end()
}

func (p *partial) Discard() error {
	if p.ended {
		return nil
	}
	err := os.Remove(p.path())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, p.end())
}

// end returns everything free.
func (p *partial) end() (err error) {
	p.ended = true
	if p.file != nil {
		err = p.file.Close()
		p.place()
	}
	p.claim()
	return err
}

func (p *partial) failed(err error) error {
	return fmt.Errorf("receive object %s: %w", p.id, noSpace(err))
}

// claim waits until nobody else receives the object.
func (d *Dir) claim(ctx context.Context, id string) (release func(), err error) {
	for {
		d.mu.Lock()
		ended := d.partial[id]
		d.mu.Unlock()
		if ended == nil {
			if release, free := d.tryClaim(id); free {
				return release, nil
			}
			continue
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (d *Dir) tryClaim(id string) (release func(), free bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.partial[id] != nil {
		return nil, false
	}
	ended := make(chan struct{})
	d.partial[id] = ended
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.partial, id)
		close(ended)
	}, true
}
