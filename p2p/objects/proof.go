package objects

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/protocol/object"
)

// FetchOwn is [Fetcher.Fetch] from one peer that has to have every object itself: those
// that the store has already are received as well, hashed and thrown away. Otherwise a peer
// could have the objects of others counted as its own by naming their ids. shown is called
// for each object that the peer has shown, concurrently, when it is in the store durably;
// what was shown need not be asked for again. What was shown of an object when the fetch is
// cut short counts in the next one, for the same peer and run.
func (f *Fetcher) FetchOwn(ctx context.Context, runID uint64, ids []string, from Provider, shown func(id string)) error {
	var mu sync.Mutex
	own := make(map[string]struct{}, len(ids))
	err := f.fetch(ctx, runID, ids, []Provider{from}, func(id string) {
		shown(id)
		mu.Lock()
		defer mu.Unlock()
		own[id] = struct{}{}
	})
	if err != nil {
		return err
	}
	var rest []string // was there before, or came in a fetch from somebody else
	for _, id := range ids {
		if _, has := own[id]; !has {
			rest = append(rest, id)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	into := &proofs{limit: DefaultMaxSize, began: f.begun.take(from.Peer, runID, rest)}
	prover := *f
	prover.store = into
	prover.opts.Arrived = func(string) {}
	if err := prover.fetch(ctx, runID, rest, []Provider{from}, shown); err != nil {
		f.begun.keep(from.Peer, runID, into.began)
		return fmt.Errorf("have peer %s show what is here already: %w", from.Peer, err)
	}
	return nil
}

// proofs is a [Sink] that keeps nothing but hashes: what is fetched into it was shown by
// its sender.
type proofs struct {
	limit int64

	mu    sync.Mutex
	began map[string]*proof // by id
}

// Has implements [Sink].
func (*proofs) Has(string) bool { return false }

// Partial implements [Sink].
func (p *proofs) Partial(ctx context.Context, id string) (Partial, error) {
	return p.TryPartial(ctx, id)
}

// TryPartial implements [Sink]. A fetch has an item in one hand at a time, so nothing is
// ever busy.
func (p *proofs) TryPartial(_ context.Context, id string) (Partial, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.began[id] == nil {
		p.began[id] = &proof{id: id, limit: p.limit, hash: object.NewHash()}
	}
	return p.began[id], nil
}

// proof is the [Partial] of proofs. It survives Close.
type proof struct {
	id           string
	limit        int64
	size, offset int64
	hash         *object.Hash
}

func (p *proof) Offset() int64 { return p.offset }

func (p *proof) Expect(_ context.Context, size int64) error {
	if size < 0 || size > p.limit {
		return fmt.Errorf("object %s: %w: %d bytes, %d are allowed", p.id, ErrTooLarge, size, p.limit)
	}
	if p.offset > size {
		_ = p.Discard()
	}
	p.size = size
	return nil
}

func (p *proof) Write(b []byte) (int, error) {
	if int64(len(b)) > p.size-p.offset {
		return 0, fmt.Errorf("object %s: %w: more than %d bytes", p.id, ErrMismatch, p.size)
	}
	p.offset += int64(len(b))
	return p.hash.Write(b)
}

func (p *proof) Commit(context.Context) error {
	if p.offset != p.size {
		return fmt.Errorf("object %s: %d of %d bytes came: %w", p.id, p.offset, p.size, io.ErrUnexpectedEOF)
	}
	err := p.hash.Verify(p.id)
	if err != nil {
		_ = p.Discard()
	}
	return err
}

func (*proof) Close() error { return nil }

// partly reports whether some of the object was shown, and not all.
func (p *proof) partly() bool { return 0 < p.offset && p.offset < p.size }

func (p *proof) Discard() error {
	p.offset, p.hash = 0, object.NewHash()
	return nil
}

// begunProofs are those that were cut short. Over a line that fails again and again, an object
// may never be shown in one go.
type begunProofs struct {
	mu    sync.Mutex
	parts map[proofKey]*proof
}

type proofKey struct {
	peer  peer.ID
	runID uint64
	id    string
}

func newBegunProofs() *begunProofs { return &begunProofs{parts: make(map[proofKey]*proof)} }

// take hands out what was begun of these objects. Nobody else gets it meanwhile.
func (b *begunProofs) take(from peer.ID, runID uint64, ids []string) map[string]*proof {
	b.mu.Lock()
	defer b.mu.Unlock()
	began := make(map[string]*proof, len(ids))
	for _, id := range ids {
		key := proofKey{from, runID, id}
		if p := b.parts[key]; p != nil {
			began[id] = p
			delete(b.parts, key)
		}
	}
	return began
}

// keep remembers proofs for the next fetch; when there are too many, others begin anew.
func (b *begunProofs) keep(from peer.ID, runID uint64, began map[string]*proof) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, p := range began {
		if !p.partly() {
			continue
		}
		for other := range b.parts {
			if len(b.parts) < maxBegunProofs {
				break
			}
			delete(b.parts, other)
		}
		b.parts[proofKey{from, runID, id}] = p
	}
}
