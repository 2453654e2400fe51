package streams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// wide are options that never limit what a test opens.
var wide = Options{Places: 100, PerPeer: 100}

// inBubble serves in virtual time, and checks that nothing is left over.
func inBubble(t *testing.T, opts Options, handle Handler, test func(t *testing.T, h *fakeHost, s *Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{}
		s := Serve(h, testProtocol, opts, handle)
		test(t, h, s)
		s.Close()
		h.streams.Wait()
		if s.open != 0 || len(s.byPeer) != 0 {
			t.Errorf("%d streams are still counted, by peer %v", s.open, s.byPeer)
		}
	})
}

func expect(t *testing.T, s *fakeStream, want string) {
	t.Helper()
	synctest.Wait()
	if got := s.ended(); got != want {
		t.Errorf("a stream of %s is %s, want %s", string(s.from), got, want)
	}
}

// hold is a handler that waits for its context.
func hold(ctx context.Context, _ *Stream) error {
	<-ctx.Done()
	return nil
}

// readAll is a handler that takes everything that comes, as the first message.
func readAll(_ context.Context, s *Stream) error {
	for b := make([]byte, 1); ; {
		if _, err := s.Read(b); err != nil {
			return err
		}
		s.Begun()
	}
}

func TestAStreamEndsAsItsHandlerDoes(t *testing.T) {
	for name, handle := range map[string]Handler{
		"closed": func(context.Context, *Stream) error { return nil },
		"reset":  func(context.Context, *Stream) error { return errors.New("no") },
	} {
		inBubble(t, wide, handle, func(t *testing.T, h *fakeHost, _ *Server) {
			_, far := h.open("a")
			expect(t, far, name)
		})
	}
}

func TestAPanicCostsOneStream(t *testing.T) {
	for name, opts := range map[string]Options{
		"in a handler": wide,
		"in Admit":     {Places: 1, PerPeer: 1, Admit: func(c network.Conn) bool { return c.RemotePeer() != "bad" || panicking() }},
		"with a turn":  {Places: 1, PerPeer: 1, Queue: 1},
	} {
		t.Run(name, func(t *testing.T) {
			handle := func(ctx context.Context, s *Stream) error {
				if err := s.Turn(ctx); err != nil {
					return err
				}
				if s.Conn().RemotePeer() == "bad" {
					var nothing map[string]int
					nothing["x"] = 1 //nolint:govet,staticcheck // the mistake is what is tested
				}
				return nil
			}
			inBubble(t, opts, handle, func(t *testing.T, h *fakeHost, _ *Server) {
				for range 3 { // its place is free again each time
					_, bad := h.open("bad")
					expect(t, bad, "reset")
				}
				_, good := h.open("good")
				expect(t, good, "closed")
			})
		})
	}
}

func panicking() bool { panic("on purpose") }

func TestOnlyWhoIsAdmittedIsServed(t *testing.T) {
	served := 0
	opts := wide
	opts.Admit = func(c network.Conn) bool { return c.RemotePeer() == "member" }
	inBubble(t, opts, func(context.Context, *Stream) error { served++; return nil }, func(t *testing.T, h *fakeHost, _ *Server) {
		_, stranger := h.open("stranger")
		expect(t, stranger, "gated")
		_, member := h.open("member")
		expect(t, member, "closed")
		if served != 1 {
			t.Errorf("%d streams were served", served)
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	inBubble(t, Options{Places: 3, Queue: 2, PerPeer: 2}, readAll, func(t *testing.T, h *fakeHost, s *Server) {
		first, a := h.open("a")
		_, also := h.open("a")
		expect(t, a, "open")
		expect(t, also, "open")
		_, third := h.open("a")
		expect(t, third, "no place") // its own limit
		h.open("b")
		h.open("b")
		last, c := h.open("c")
		expect(t, c, "open")
		_, d := h.open("d")
		expect(t, d, "no place") // everybody's limit
		for _, near := range []*fakeStream{first, last} {
			_ = near.Close()
		}
		synctest.Wait()
		for _, p := range []peer.ID{"d", "a"} {
			_, again := h.open(p)
			expect(t, again, "open")
		}
		if s.open != 5 || s.byPeer["a"] != 2 || s.byPeer["c"] != 0 || len(s.byPeer) != 3 {
			t.Errorf("%d streams are counted, by peer: %v", s.open, s.byPeer)
		}
	})
}

func TestABusyServerSaysSo(t *testing.T) {
	opts := Options{Places: 1, PerPeer: 1, Busy: func(to io.Writer, why error) error {
		_, err := fmt.Fprint(to, "come again: ", why)
		return err
	}}
	inBubble(t, opts, hold, func(t *testing.T, h *fakeHost, _ *Server) {
		h.open("a")
		synctest.Wait()
		near, b := h.open("b")
		said, err := io.ReadAll(near)
		if want := "come again: 1 streams are open already"; string(said) != want || err != nil {
			t.Errorf("it said %q (%v)", said, err)
		}
		expect(t, b, "closed")
		_, deaf := h.open("b") // reads nothing
		expect(t, deaf, "open")
		time.Sleep(busyTime)
		expect(t, deaf, "no place")
	})
}

func TestTurnsAreTakenInOrder(t *testing.T) {
	var order []peer.ID
	var done chan struct{}
	handle := func(ctx context.Context, s *Stream) error {
		if err := s.Turn(ctx); err != nil {
			return err
		}
		order = append(order, s.Conn().RemotePeer())
		<-done
		return nil
	}
	inBubble(t, Options{Places: 1, Queue: 5, PerPeer: 1}, handle, func(t *testing.T, h *fakeHost, _ *Server) {
		done = make(chan struct{})
		for _, p := range []peer.ID{"a", "b", "c"} {
			h.open(p)
			synctest.Wait()
		}
		for n := 1; n <= 3; n++ {
			if len(order) != n {
				t.Fatalf("%d have had a turn, want %d", len(order), n)
			}
			done <- struct{}{}
			synctest.Wait()
		}
		if fmt.Sprint(order) != fmt.Sprint([]peer.ID{"a", "b", "c"}) {
			t.Errorf("they had their turns in the order %q", order)
		}
	})
}

func TestTryTurnDoesNotWait(t *testing.T) {
	var got []bool
	handle := func(ctx context.Context, s *Stream) error {
		got = append(got, s.TryTurn())
		if s.turned != s.TryTurn() {
			t.Error("asking again takes another place")
		}
		return hold(ctx, s)
	}
	inBubble(t, Options{Places: 1, Queue: 1, PerPeer: 1}, handle, func(t *testing.T, h *fakeHost, _ *Server) {
		h.open("a")
		synctest.Wait()
		h.open("b")
		synctest.Wait()
		if fmt.Sprint(got) != "[true false]" {
			t.Errorf("turns: %v", got)
		}
	})
}

func TestASlowOpenerLosesItsPlace(t *testing.T) {
	inBubble(t, Options{Places: 1, PerPeer: 1, First: 10 * time.Second}, readAll, func(t *testing.T, h *fakeHost, _ *Server) {
		_, slow := h.open("slow")
		time.Sleep(10*time.Second - 1)
		expect(t, slow, "open")
		time.Sleep(time.Nanosecond)
		expect(t, slow, "too slow")
		near, quick := h.open("quick")
		time.Sleep(9 * time.Second)
		if _, err := near.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		expect(t, quick, "open") // a quiet peer is not a dead one
	})
}

func TestDrippingDoesNotKeepAPlace(t *testing.T) {
	handle := func(_ context.Context, s *Stream) error {
		_, err := io.ReadFull(s, make([]byte, 1000)) // the first message
		s.Begun()
		return err
	}
	inBubble(t, Options{Places: 1, PerPeer: 1, First: 10 * time.Second, Reads: 5 * time.Second}, handle, func(t *testing.T, h *fakeHost, _ *Server) {
		near, far := h.open("drip")
		began := time.Now()
		for range 20 {
			if _, err := near.Write([]byte("x")); err != nil {
				break
			}
			time.Sleep(900 * time.Millisecond)
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second { // it notices with its next byte
			t.Errorf("it had its place for %v", took)
		}
		expect(t, far, "too slow")
	})
}

func TestSomethingHasToMove(t *testing.T) {
	const limit = 30 * time.Second
	writes := func(_ context.Context, s *Stream) error {
		_, err := s.Write(make([]byte, 10))
		return err
	}
	for name, tt := range map[string]struct {
		opts   Options
		handle Handler
		move   func(near *fakeStream) error // one byte
		bytes  int
	}{
		"reads":  {Options{Places: 1, PerPeer: 1, Reads: limit}, readAll, func(near *fakeStream) error { _, err := near.Write([]byte("x")); return err }, 100},
		"writes": {Options{Places: 1, PerPeer: 1, Writes: limit}, writes, func(near *fakeStream) error { _, err := near.Read(make([]byte, 1)); return err }, 9},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tt.opts, tt.handle, func(t *testing.T, h *fakeHost, _ *Server) {
				near, far := h.open("a")
				for range tt.bytes { // slow is not dead
					time.Sleep(limit - 1)
					if err := tt.move(near); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				time.Sleep(limit - 1)
				expect(t, far, "open")
				time.Sleep(limit)
				expect(t, far, "reset")
			})
		})
	}
}

func TestAStreamHasItsTimeInAll(t *testing.T) {
	inBubble(t, Options{Places: 1, PerPeer: 1, Whole: time.Minute}, readAll, func(t *testing.T, h *fakeHost, _ *Server) {
		near, far := h.open("a")
		for range 59 {
			if _, err := near.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		expect(t, far, "open")
		time.Sleep(time.Second)
		expect(t, far, "too slow")
	})
}

func TestCloseEndsStreamsAndWaitsForHandlers(t *testing.T) {
	var running atomic.Int32
	handle := func(ctx context.Context, s *Stream) error {
		running.Add(1)
		defer running.Add(-1)
		_, err := s.Read(make([]byte, 1)) // Close ends it
		if err == nil || !errors.Is(context.Cause(ctx), ErrClosed) {
			t.Errorf("read: %v, and the context ended with %v", err, context.Cause(ctx))
		}
		time.Sleep(time.Minute) // cleaning up
		return err
	}
	inBubble(t, wide, handle, func(t *testing.T, h *fakeHost, s *Server) {
		_, a := h.open("a")
		h.open("b")
		synctest.Wait()
		if running.Load() != 2 {
			t.Fatalf("%d handlers run", running.Load())
		}
		late := h.handler
		began := time.Now()
		s.Close()
		if took := time.Since(began); running.Load() != 0 || took != time.Minute {
			t.Errorf("Close returned after %v with %d handlers running", took, running.Load())
		}
		expect(t, a, "shut down")
		if near, _ := h.open("c"); near != nil {
			t.Error("the handler is still registered")
		}
		h.SetStreamHandler("", late) // a stream that libp2p had handed on already
		_, c := h.open("c")
		expect(t, c, "shut down")
	})
}

func TestEachServiceHasAScopeOfItsOwn(t *testing.T) {
	inBubble(t, wide, hold, func(t *testing.T, h *fakeHost, s *Server) {
		_, a := h.open("a")
		expect(t, a, "open")
		if name := a.service.Load(); name != testProtocol {
			t.Errorf("the stream belongs to the service %v", name)
		}
		_, greedy := h.open("greedy")
		expect(t, greedy, "no place")
		if len(s.byPeer) != 1 {
			t.Errorf("counted: %v", s.byPeer)
		}
	})
}

func TestOptionsNeedBounds(t *testing.T) {
	for _, opts := range []Options{{}, {Places: 1}, {PerPeer: 1}, {Places: 1, PerPeer: 1, Queue: -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was accepted", opts)
				}
			}()
			Serve(&fakeHost{}, testProtocol, opts, hold)
		}()
	}
}
