package objects

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"
)

const testRun = 7

func newHost(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// meter counts content bytes.
type meter struct{ sent, received atomic.Int64 }

func (m *meter) Sent(_ peer.ID, _ uint64, n int)     { m.sent.Add(int64(n)) }
func (m *meter) Received(_ peer.ID, _ uint64, n int) { m.received.Add(int64(n)) }

func anybody(context.Context, peer.ID, uint64, string) error { return nil }

// serving is a peer with objects.
type serving struct {
	host   host.Host
	store  Store
	server *Server
	meter  *meter
}

func serve(t testing.TB, store Store, authorize Authorize, opts ServerOptions) *serving {
	t.Helper()
	s := &serving{host: newHost(t), store: store, meter: &meter{}}
	opts.Meter = s.meter
	s.server = NewServer(s.host, store, authorize, opts)
	t.Cleanup(s.server.Close)
	return s
}

func (s *serving) provider() Provider {
	return Provider{Peer: s.host.ID(), Addrs: s.host.Addrs()}
}

// wantAll checks that all contents are in the store.
func wantAll(t testing.TB, s Store, contents map[string][]byte) {
	t.Helper()
	for id, content := range contents {
		if !bytes.Equal(get(t, s, id), content) {
			t.Errorf("object %s has other bytes", id)
		}
	}
}

// fill puts blobs of these sizes into a store.
func fillStore(t testing.TB, s Store, sizes ...int) (contents map[string][]byte, ids []string) {
	t.Helper()
	contents = make(map[string][]byte)
	for i, size := range sizes {
		content, id := blob(uint64(1000+i), size)
		put(t, s, content)
		contents[id] = content
		ids = append(ids, id)
	}
	return contents, ids
}

func TestFetch(t *testing.T) {
	from := serve(t, newDir(t), anybody, ServerOptions{})
	sizes := []int{0, 1, 200, smallObject, 1 << 20, 3<<20 + 7}
	for range 300 {
		sizes = append(sizes, 150)
	}
	contents, ids := fillStore(t, from.store, sizes...)
	to, m := newDir(t), &meter{}
	var arrived atomic.Int64
	f := NewFetcher(newHost(t), to, FetchOptions{
		Chunk: 1 << 20, Meter: m, Arrived: func(id string) {
			if !to.Has(id) {
				t.Error("an object has arrived that is not there")
			}
			arrived.Add(1)
		},
	})
	if err := f.Fetch(t.Context(), testRun, append(ids, ids[:10]...), from.provider()); err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
	if int(arrived.Load()) != len(contents) {
		t.Errorf("%d of %d objects have arrived", arrived.Load(), len(contents))
	}
	var total int64
	for _, content := range contents {
		total += int64(len(content))
	}
	if m.received.Load() != total || from.meter.sent.Load() < total {
		t.Errorf("received %d and sent %d bytes for objects of %d", m.received.Load(), from.meter.sent.Load(), total)
	}
	if err := f.Fetch(t.Context(), testRun, ids, from.provider()); err != nil || m.received.Load() != total {
		t.Errorf("a second fetch received more: %d of %d bytes (%v)", m.received.Load(), total, err)
	}
}

func TestFetchFromOnePeer(t *testing.T) {
	from := serve(t, newDir(t), anybody, ServerOptions{})
	contents, ids := fillStore(t, from.store, 100)
	h, to := newHost(t), newDir(t)
	h.Peerstore().AddAddrs(from.host.ID(), from.host.Addrs(), time.Hour)
	if err := Fetch(t.Context(), h, from.host.ID(), testRun, ids, to, FetchOptions{}); err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
}

func TestFetchEndsForGood(t *testing.T) {
	dir := newDir(t)
	_, ids := fillStore(t, dir, 100, 200)
	_, unknown := blob(1, 10)
	refusing := func(_ context.Context, _ peer.ID, run uint64, id string) error {
		if run != testRun || id == ids[1] {
			return ErrRefused
		}
		return nil
	}
	from := serve(t, dir, refusing, ServerOptions{})
	small, err := OpenDir(t.TempDir(), DirOptions{MaxSize: 50})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		to   Store
		run  uint64
		ids  []string
		want error
	}{
		"unknown object": {newDir(t), testRun, []string{ids[0], unknown}, ErrNotFound},
		"refused object": {newDir(t), testRun, ids, ErrRefused},
		"refused run":    {newDir(t), 8, ids[:1], ErrRefused},
		"bad id":         {newDir(t), testRun, []string{"x"}, ErrBadID},
		"too large":      {small, testRun, ids[:1], ErrTooLarge},
	} {
		err := NewFetcher(newHost(t), tt.to, FetchOptions{}).Fetch(t.Context(), tt.run, tt.ids, from.provider())
		if !errors.Is(err, tt.want) || !Permanent(err) {
			t.Errorf("%s: %v (permanent: %v)", name, err, Permanent(err))
		}
	}
	h := newHost(t)
	f := NewFetcher(h, newDir(t), FetchOptions{})
	if err := f.Fetch(t.Context(), testRun, ids); err == nil {
		t.Error("a fetch from nobody succeeded")
	}
	if err := f.Fetch(t.Context(), testRun, ids, Provider{Peer: h.ID()}); err == nil {
		t.Error("a fetch from oneself succeeded")
	}
	if err := f.Fetch(t.Context(), testRun, nil); err != nil {
		t.Errorf("a fetch of nothing: %v", err)
	}
}

func TestFetchFromThoseWhoHave(t *testing.T) {
	whole := newDir(t)
	contents, ids := fillStore(t, whole, 100, 1<<20, 200, 300, 2<<20)
	half := newDir(t)
	put(t, half, contents[ids[0]])
	put(t, half, contents[ids[1]])
	a, b, c := serve(t, whole, anybody, ServerOptions{}), serve(t, half, anybody, ServerOptions{}),
		serve(t, whole, func(context.Context, peer.ID, uint64, string) error { return ErrRefused }, ServerOptions{})
	to := newDir(t)
	f := NewFetcher(newHost(t), to, FetchOptions{})
	if err := f.Fetch(t.Context(), testRun, ids, b.provider(), c.provider(), a.provider()); err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
}

func TestFetchGoesOnAfterAPassingFailure(t *testing.T) {
	dir := newDir(t)
	contents, ids := fillStore(t, dir, 100, 200)
	var asked atomic.Int64
	from := serve(t, dir, func(context.Context, peer.ID, uint64, string) error {
		if asked.Add(1) <= 2 {
			return errors.New("the database is locked")
		}
		return nil
	}, ServerOptions{PerPeer: 1}) // other streams are told to come back
	to := newDir(t)
	if err := NewFetcher(newHost(t), to, FetchOptions{}).Fetch(t.Context(), testRun, ids, from.provider()); err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
}

// onRead is a Store whose files call a function before each read.
type onRead struct {
	Store
	hook func(id string, at int64) error
}

func (s onRead) Open(id string) (File, error) {
	f, err := s.Store.Open(id)
	if err != nil {
		return nil, err
	}
	return hookedFile{f, id, s.hook}, nil
}

type hookedFile struct {
	File
	id   string
	hook func(id string, at int64) error
}

func (f hookedFile) ReadAt(p []byte, at int64) (int, error) {
	if err := f.hook(f.id, at); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, at)
}

func TestACutConnectionCostsNothingTwice(t *testing.T) {
	dir := newDir(t)
	const size = 8 << 20
	contents, ids := fillStore(t, dir, size)
	receiver := newHost(t)
	var cuts atomic.Int64
	from := serve(t, onRead{dir, func(_ string, at int64) error {
		if at/(2<<20) > cuts.Load() { // every 2 MiB
			cuts.Add(1)
			return receiver.Network().ClosePeer(receiver.Network().Peers()[0])
		}
		return nil
	}}, anybody, ServerOptions{})
	to, m := newDir(t), &meter{}
	if err := NewFetcher(receiver, to, FetchOptions{Meter: m}).Fetch(t.Context(), testRun, ids, from.provider()); err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
	if cuts.Load() != 3 || m.received.Load() != size {
		t.Errorf("after %d cuts %d bytes were received for %d", cuts.Load(), m.received.Load(), size)
	}
}

func TestAFetchGoesOnWhereAnotherOneEnded(t *testing.T) {
	dir := newDir(t)
	const size = 4 << 20
	contents, ids := fillStore(t, dir, size)
	from := serve(t, dir, anybody, ServerOptions{})
	to := newDir(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	first := &stopAfter{bytes: 1 << 20, stop: func() { cancel(os.ErrProcessDone) }}
	err := NewFetcher(newHost(t), to, FetchOptions{Meter: first}).Fetch(ctx, testRun, ids, from.provider())
	if !errors.Is(err, os.ErrProcessDone) || Permanent(err) {
		t.Fatal(err)
	}
	second := &meter{}
	err = NewFetcher(newHost(t), reopen(t, to), FetchOptions{Meter: second}).Fetch(t.Context(), testRun, ids, from.provider())
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
	if first.received.Load() < 1<<20 || first.received.Load()+second.received.Load() != size {
		t.Errorf("%d and %d bytes were received for %d", first.received.Load(), second.received.Load(), size)
	}
}

// stopAfter stops something when so many bytes were received.
type stopAfter struct {
	meter
	bytes int64
	stop  func()
}

func (s *stopAfter) Received(from peer.ID, run uint64, n int) {
	s.meter.Received(from, run, n)
	if s.received.Load() >= s.bytes {
		s.stop()
	}
}

func TestFetchesOfTheSameObjectsShareThem(t *testing.T) {
	dir := newDir(t)
	contents, ids := fillStore(t, dir, 1<<20, 100, 1<<20, 200, 1<<20, 300, 1<<20)
	from := serve(t, dir, anybody, ServerOptions{})
	to, m := newDir(t), &meter{}
	var all sync.WaitGroup
	for i := range 4 {
		order := append(append([]string(nil), ids[i:]...), ids[:i]...)
		f := NewFetcher(newHost(t), to, FetchOptions{Meter: m, Streams: 2})
		all.Go(func() {
			if err := f.Fetch(t.Context(), testRun, order, from.provider()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	wantAll(t, to, contents)
	if m.received.Load() != 4<<20+600 {
		t.Errorf("%d bytes were received", m.received.Load())
	}
}

func TestServerCloseEndsStreams(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := newDir(t)
	_, ids := fillStore(t, dir, 1<<20)
	stuck := make(chan struct{})
	var once sync.Once
	from := serve(t, dir, func(ctx context.Context, _ peer.ID, _ uint64, _ string) error {
		once.Do(func() { close(stuck) })
		<-ctx.Done()
		return context.Cause(ctx)
	}, ServerOptions{})
	ctx, cancel := context.WithCancelCause(t.Context())
	receiver := newHost(t)
	done := make(chan error)
	go func() {
		done <- NewFetcher(receiver, newDir(t), FetchOptions{}).Fetch(ctx, testRun, ids, from.provider())
	}()
	<-stuck
	from.server.Close()
	cancel(os.ErrProcessDone)
	if err := <-done; !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	receiver.Close()
	from.host.Close()
}
