package objects

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/protocol/object"
)

// FetchOptions of a Fetcher. Zero values mean the defaults of limits.go.
type FetchOptions struct {
	Streams  int           // to each peer at a time
	Chunk    int64         // bytes on one stream
	Patience time.Duration // with peers that send nothing

	// NoDial has the fetcher use connections that exist or come up, and never dial: for a
	// link, whose nodes dial it. Two that dial each other at once may both fail.
	NoDial bool

	// Meter is told what is received; nil for nobody.
	Meter Meter
	// Arrived, if set, is called for each object that a fetch has brought, when it is
	// durable. It may be called concurrently and must not block.
	Arrived func(id string)
}

func (o FetchOptions) withDefaults() FetchOptions {
	if o.Streams == 0 {
		o.Streams = DefaultStreams
	}
	if o.Chunk == 0 {
		o.Chunk = DefaultChunk
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	if o.Arrived == nil {
		o.Arrived = func(string) {}
	}
	return o
}

// Provider is a peer that may have objects. Addrs are told to the host; nil where it knows
// the peer's addresses or is connected to it.
type Provider struct {
	Peer  peer.ID
	Addrs []ma.Multiaddr
	// Direct providers are asked on direct connections that exist, and never dialled.
	Direct bool
}

// Sink is the part of a [Store] that a fetch writes to.
type Sink interface {
	Has(id string) bool
	Partial(ctx context.Context, id string) (Partial, error)
	TryPartial(ctx context.Context, id string) (Partial, error)
}

// Fetcher brings objects from peers into a store. It remembers who sent wrong bytes. Its
// methods may be called concurrently; fetches that want the same object share it.
type Fetcher struct {
	net    overlay
	self   peer.ID
	store  Sink
	opts   FetchOptions
	blamed *blameList
	begun  *begunProofs
}

// NewFetcher makes a Fetcher. It has no goroutines beyond those of a running Fetch.
func NewFetcher(h host.Host, store Sink, opts FetchOptions) *Fetcher {
	opts = opts.withDefaults()
	return &Fetcher{
		net: hostOverlay{host: h, noDial: opts.NoDial}, self: h.ID(),
		store: store, opts: opts, blamed: newBlameList(), begun: newBegunProofs(),
	}
}

// Fetch is [Fetcher.Fetch] from one peer, for callers that fetch once.
func Fetch(ctx context.Context, h host.Host, from peer.ID, runID uint64, ids []string, store Sink, opts FetchOptions) error {
	return NewFetcher(h, store, opts).Fetch(ctx, runID, ids, Provider{Peer: from})
}

// Fetch returns nil when all objects are in the store, durably. It asks all providers at
// once, and goes on after any failure while one of them still sends something now and then.
//
// It ends early with ErrNotFound or ErrRefused when every provider says so of one object, with
// ErrMismatch when those that are left sent wrong bytes (see [Permanent]), with ErrStalled,
// with ErrNoSpace or another error of the store, and with the cause of ctx's end. Whatever
// was received is kept, so that the next Fetch goes on there.
func (f *Fetcher) Fetch(ctx context.Context, runID uint64, ids []string, from ...Provider) error {
	return f.fetch(ctx, runID, ids, from, func(string) {})
}

// fetch is Fetch; came is told of each object that this fetch has brought itself.
func (f *Fetcher) fetch(ctx context.Context, runID uint64, ids []string, from []Provider, came func(id string)) error {
	items, err := f.missing(ids)
	if err != nil || len(items) == 0 {
		return err
	}
	sources := f.sources(from)
	if len(sources) == 0 {
		return fmt.Errorf("fetch %d objects of run %d: %w", len(items), runID, errors.New("there is no peer to ask"))
	}
	if len(sources) > 1 {
		// Receivers that begin at different ends have something for each other early.
		rand.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	}
	j := newFetch(ctx, f, runID, items, sources)
	j.came = came
	if err := j.run(); err != nil {
		return fmt.Errorf("fetch %d objects of run %d: %w", len(items), runID, err)
	}
	return nil
}

// missing lists what is not in the store, each once.
func (f *Fetcher) missing(ids []string) ([]*item, error) {
	var items []*item
	seen := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if err := object.CheckID(id); err != nil {
			return nil, err
		}
		if _, twice := seen[id]; twice || f.store.Has(id) {
			continue
		}
		seen[id] = struct{}{}
		items = append(items, &item{id: id})
	}
	return items, nil
}

// sources are the providers that may be asked: not this peer, and those who sent wrong
// bytes lately only when there is nobody else.
func (f *Fetcher) sources(from []Provider) []*source {
	var good, bad []*source
	seen := map[peer.ID]struct{}{f.self: {}}
	for _, provider := range from {
		if _, twice := seen[provider.Peer]; twice {
			continue
		}
		seen[provider.Peer] = struct{}{}
		src := &source{Provider: provider, proven: true}
		if f.blamed.has(provider.Peer) {
			bad = append(bad, src)
		} else {
			good = append(good, src)
		}
	}
	if len(good) == 0 {
		good = bad
	}
	return good[:min(len(good), maxSources)]
}
