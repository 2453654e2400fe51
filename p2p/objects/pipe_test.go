package objects

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"
)

// pipes is an overlay without a network, for virtual time: each stream is a pipe to a
// function that plays the other end.
type pipes struct {
	play    func(stream network.Stream)
	opened  atomic.Int64
	stale   atomic.Bool // every stream is outdated, once
	connect chan struct{}
	refuse  error
	ends    sync.WaitGroup
}

func (p *pipes) open(context.Context, Provider) (network.Stream, error) {
	p.opened.Add(1)
	if p.refuse != nil {
		return nil, p.refuse
	}
	near, far := net.Pipe()
	p.ends.Go(func() {
		defer far.Close()
		p.play(&pipeStream{pipe: far})
	})
	return &pipeStream{pipe: near}, nil
}

func (p *pipes) outdated(network.Stream) bool { return p.stale.Swap(false) }

func (p *pipes) connects(peer.ID) (<-chan struct{}, func()) { return p.connect, func() {} }

// pipeStream is the part of a network.Stream that the exchange uses.
type pipeStream struct {
	network.Stream
	pipe net.Conn
}

func (s *pipeStream) Read(p []byte) (int, error)         { return s.pipe.Read(p) }
func (s *pipeStream) Write(p []byte) (int, error)        { return s.pipe.Write(p) }
func (s *pipeStream) Close() error                       { return s.pipe.Close() }
func (s *pipeStream) CloseWrite() error                  { return nil }
func (s *pipeStream) Reset() error                       { return s.pipe.Close() }
func (s *pipeStream) SetDeadline(t time.Time) error      { return s.pipe.SetDeadline(t) }
func (s *pipeStream) SetReadDeadline(t time.Time) error  { return s.pipe.SetReadDeadline(t) }
func (s *pipeStream) SetWriteDeadline(t time.Time) error { return s.pipe.SetWriteDeadline(t) }

// fetcherOver is a Fetcher on pipes.
func fetcherOver(p *pipes, store Store, opts FetchOptions) *Fetcher {
	return &Fetcher{net: p, self: "me", store: store, opts: opts.withDefaults(), blamed: newBlameList()}
}

// serverFor is a Server without a host.
func serverFor(store Store, opts ServerOptions) *Server {
	ctx, stop := context.WithCancel(context.Background())
	opts = opts.withDefaults()
	return &Server{
		store: store, authorize: anybody, opts: opts, ctx: ctx, stop: stop,
		serving: semaphore.NewWeighted(int64(opts.Serving)), byPeer: make(map[peer.ID]int),
	}
}

func (p *pipes) from(s *Server) {
	p.play = func(stream network.Stream) { _ = s.serve(s.ctx, "them", stream) }
}

var them = Provider{Peer: "them"}

func TestSlowIsNotDead(t *testing.T) {
	content, id := blob(1, 40*copyBlock)
	dir, to := newDir(t), newDir(t)
	put(t, dir, content)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := &pipes{}
		p.from(serverFor(dir, ServerOptions{Pace: func(ctx context.Context, _ peer.ID, _ int) error {
			time.Sleep(idleLimit - time.Second)
			return nil
		}}))
		f := fetcherOver(p, to, FetchOptions{Patience: idleLimit})
		if err := f.Fetch(t.Context(), testRun, []string{id}, them); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); p.opened.Load() != 1 || took < 19*time.Minute {
			t.Errorf("it took %d streams and %v", p.opened.Load(), took)
		}
		p.ends.Wait()
	})
	if !bytes.Equal(get(t, to, id), content) {
		t.Error("other bytes came")
	}
}

func TestASilentPeerIsGivenUp(t *testing.T) {
	_, id := blob(1, 100)
	for name, p := range map[string]*pipes{
		"never answers": {play: func(s network.Stream) {
			var b [1 << 10]byte
			for {
				if _, err := s.Read(b[:]); err != nil {
					return
				}
			}
		}},
		"hangs up":        {play: func(network.Stream) {}},
		"is not there":    {refuse: errors.New("no route")},
		"speaks nonsense": {play: func(s network.Stream) { _, _ = s.Write([]byte("HTTP/1.1 400 Bad Request\r\n")) }},
		"is always busy": {play: func(s network.Stream) {
			leave, err := serverFor(nil, ServerOptions{PerPeer: -1}).enter("me", false)
			if err == nil {
				leave()
				return
			}
			go func() { _, _ = s.Read(make([]byte, 1<<10)) }()
			_ = writeAnswer(s, answer{status: 4, detail: err.Error()})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			to := newDir(t)
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				err := fetcherOver(p, to, FetchOptions{}).Fetch(t.Context(), testRun, []string{id}, them)
				if !errors.Is(err, ErrStalled) || Permanent(err) {
					t.Errorf("%v", err)
				}
				if !strings.Contains(err.Error(), "peer "+them.Peer.String()+": ") {
					t.Errorf("the reason is missing: %v", err)
				}
				if took := time.Since(start); took != DefaultPatience {
					t.Errorf("it took %v", took)
				}
				if n := p.opened.Load(); n < 2 || n > 200 {
					t.Errorf("%d streams were opened", n)
				}
				p.ends.Wait()
			})
		})
	}
}

func TestWaitingInAQueueIsLife(t *testing.T) {
	content, id := blob(1, 100)
	dir, to := newDir(t), newDir(t)
	put(t, dir, content)
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s := serverFor(dir, ServerOptions{Serving: 1})
		p.from(s)
		if err := s.serving.Acquire(t.Context(), 1); err != nil { // somebody else is served
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Hour)
			s.serving.Release(1)
		}()
		if err := fetcherOver(p, to, FetchOptions{}).Fetch(t.Context(), testRun, []string{id}, them); err != nil {
			t.Fatal(err)
		}
		if p.opened.Load() != 1 {
			t.Errorf("it took %d streams", p.opened.Load())
		}
		p.ends.Wait()
		if !s.serving.TryAcquire(1) {
			t.Error("the place was not given back")
		}
	})
}

func TestAPeerThatLeavesTheQueueGivesItsPlaceBack(t *testing.T) {
	dir, to := newDir(t), newDir(t)
	_, ids := fillStore(t, dir, 100)
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s := serverFor(dir, ServerOptions{Serving: 1})
		p.from(s)
		if err := s.serving.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			time.Sleep(time.Minute)
			cancel(os.ErrProcessDone)
		}()
		if err := fetcherOver(p, to, FetchOptions{}).Fetch(ctx, testRun, ids, them); !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		p.ends.Wait() // while the place is taken still
		s.serving.Release(1)
		if !s.serving.TryAcquire(1) {
			t.Error("the place is lost")
		}
	})
}

func TestATransferMovesToABetterPath(t *testing.T) {
	content, id := blob(1, 5<<20)
	dir, to, m := newDir(t), newDir(t), &meter{}
	put(t, dir, content)
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		p.from(serverFor(dir, ServerOptions{}))
		p.stale.Store(true)
		start := time.Now()
		if err := fetcherOver(p, to, FetchOptions{Meter: m}).Fetch(t.Context(), testRun, []string{id}, them); err != nil {
			t.Fatal(err)
		}
		if p.opened.Load() != 2 || time.Since(start) != 0 {
			t.Errorf("it took %d streams and %v", p.opened.Load(), time.Since(start))
		}
		p.ends.Wait()
	})
	if m.received.Load() != 5<<20 {
		t.Errorf("%d bytes were received", m.received.Load())
	}
}

func TestAPeerThatConnectsIsAskedAtOnce(t *testing.T) {
	content, id := blob(1, 100)
	dir, to := newDir(t), newDir(t)
	put(t, dir, content)
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{connect: make(chan struct{})}
		s := serverFor(dir, ServerOptions{})
		var back atomic.Bool
		p.play = func(stream network.Stream) {
			if back.Load() {
				_ = s.serve(s.ctx, "them", stream)
			}
		}
		start := time.Now()
		go func() {
			time.Sleep(30*time.Second + time.Millisecond)
			back.Store(true)
			p.connect <- struct{}{}
		}()
		if err := fetcherOver(p, to, FetchOptions{Streams: 1}).Fetch(t.Context(), testRun, []string{id}, them); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 30*time.Second+time.Millisecond {
			t.Errorf("it took %v", took)
		}
		p.ends.Wait()
	})
}

func TestASharedTransferHasTheOthersPatience(t *testing.T) {
	content, id := blob(1, 20*copyBlock)
	dir, to := newDir(t), newDir(t)
	put(t, dir, content)
	synctest.Test(t, func(t *testing.T) {
		slow := &pipes{}
		slow.from(serverFor(dir, ServerOptions{Pace: func(context.Context, peer.ID, int) error {
			time.Sleep(20 * time.Second)
			return nil
		}}))
		other := &pipes{refuse: errors.New("nobody is asked a second time")}
		var all sync.WaitGroup
		all.Go(func() {
			if err := fetcherOver(slow, to, FetchOptions{}).Fetch(t.Context(), testRun, []string{id}, them); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if err := fetcherOver(other, to, FetchOptions{}).Fetch(t.Context(), testRun, []string{id}, them); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		slow.ends.Wait()
		if other.opened.Load() != 0 {
			t.Errorf("%d streams were opened for what was on its way", other.opened.Load())
		}
	})
}
