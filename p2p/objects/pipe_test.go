package objects

import (
	"bytes"
	"context"
	"errors"
	"io"
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
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
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
		p.play(&pipeStream{pipe: far, from: "me"})
	})
	return &pipeStream{pipe: near}, nil
}

func (p *pipes) outdated(network.Stream) bool { return p.stale.Swap(false) }

func (p *pipes) connects(peer.ID) (<-chan struct{}, func()) { return p.connect, func() {} }

// pipeStream is the part of a network.Stream that the exchange uses.
type pipeStream struct {
	network.Stream
	pipe net.Conn
	from peer.ID
}

func (s *pipeStream) Read(p []byte) (int, error)                   { return s.pipe.Read(p) }
func (s *pipeStream) Write(p []byte) (int, error)                  { return s.pipe.Write(p) }
func (s *pipeStream) Close() error                                 { return s.pipe.Close() }
func (s *pipeStream) CloseWrite() error                            { return nil }
func (s *pipeStream) Reset() error                                 { return s.pipe.Close() }
func (s *pipeStream) SetDeadline(t time.Time) error                { return s.pipe.SetDeadline(t) }
func (s *pipeStream) SetReadDeadline(t time.Time) error            { return s.pipe.SetReadDeadline(t) }
func (s *pipeStream) SetWriteDeadline(t time.Time) error           { return s.pipe.SetWriteDeadline(t) }
func (s *pipeStream) ResetWithError(network.StreamErrorCode) error { return s.pipe.Close() }
func (s *pipeStream) Scope() network.StreamScope                   { return &network.NullScope{} }
func (s *pipeStream) Conn() network.Conn                           { return pipeConn{peer: s.from} }

type pipeConn struct {
	network.Conn
	peer peer.ID
}

func (c pipeConn) RemotePeer() peer.ID           { return c.peer }
func (c pipeConn) RemoteMultiaddr() ma.Multiaddr { return ma.StringCast("/ip4/11.0.0.1/tcp/4001") }

// fetcherOver is a Fetcher on pipes.
func fetcherOver(p *pipes, store Store, opts FetchOptions) *Fetcher {
	return &Fetcher{net: p, self: "me", store: store, opts: opts.withDefaults(), blamed: newBlameList()}
}

// pipeServer is a Server on a host that has no network: streams are handed to it.
type pipeServer struct {
	*Server
	handler network.StreamHandler
}

func (s *pipeServer) SetStreamHandler(_ protocol.ID, handler network.StreamHandler) {
	s.handler = handler
}
func (s *pipeServer) RemoveStreamHandler(protocol.ID) {}

func serverFor(store Store, opts ServerOptions) *pipeServer {
	s := &pipeServer{}
	s.Server = NewServer(s, store, anybody, opts)
	return s
}

// asks has a peer open a stream, on which it asks for an object.
func (s *pipeServer) asks(t *testing.T, from peer.ID, id string) (near *pipeStream) {
	t.Helper()
	a, b := net.Pipe()
	go s.handler(&pipeStream{pipe: b, from: from})
	near = &pipeStream{pipe: a}
	go func() { _ = writeRequest(near, request{wants: []want{{id: id}}}) }()
	return near
}

func (p *pipes) from(s *pipeServer) { p.play = s.handler }

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
			go func() { _, _ = s.Read(make([]byte, 1<<10)) }()
			_ = sayBusy(s, errors.New("too many streams"))
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

// occupied is a server with one place, which somebody else has until free is called.
func occupied(t *testing.T, store Store, id string) (s *pipeServer, free func()) {
	served := make(chan struct{})
	s = serverFor(store, ServerOptions{Serving: 1, Pace: func(_ context.Context, to peer.ID, _ int) error {
		if to == "other" {
			<-served
		}
		return nil
	}})
	other := s.asks(t, "other", id)
	go func() { _, _ = io.Copy(io.Discard, other) }()
	synctest.Wait()
	return s, func() { close(served) }
}

func TestWaitingInAQueueIsLife(t *testing.T) {
	content, id := blob(1, 100)
	dir, to, again := newDir(t), newDir(t), newDir(t)
	put(t, dir, content)
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s, free := occupied(t, dir, id)
		p.from(s)
		go func() {
			time.Sleep(time.Hour)
			free()
		}()
		if err := fetcherOver(p, to, FetchOptions{}).Fetch(t.Context(), testRun, []string{id}, them); err != nil {
			t.Fatal(err)
		}
		if p.opened.Load() != 1 {
			t.Errorf("it took %d streams", p.opened.Load())
		}
		p.ends.Wait()
		wantFree(t, p, again, id)
	})
}

// wantFree checks that a server has a place.
func wantFree(t *testing.T, p *pipes, to Store, id string) {
	t.Helper()
	start := time.Now()
	if err := fetcherOver(p, to, FetchOptions{}).Fetch(t.Context(), testRun, []string{id}, them); err != nil || time.Since(start) > 0 {
		t.Errorf("the place was not given back: the next one waited %v (%v)", time.Since(start), err)
	}
	p.ends.Wait()
}

func TestAPeerThatLeavesTheQueueGivesItsPlaceBack(t *testing.T) {
	dir, to := newDir(t), newDir(t)
	_, ids := fillStore(t, dir, 100)
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s, free := occupied(t, dir, ids[0])
		p.from(s)
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			time.Sleep(time.Minute)
			cancel(os.ErrProcessDone)
		}()
		if err := fetcherOver(p, to, FetchOptions{}).Fetch(ctx, testRun, ids, them); !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		p.ends.Wait() // while the place is taken still
		free()
		synctest.Wait()
		wantFree(t, p, to, ids[0])
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
				s.handler(stream)
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
