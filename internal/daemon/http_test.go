package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are in memory, so that time can be virtual.
type pipes struct {
	next   chan net.Conn
	closed chan struct{}
}

func newPipes() pipes { return pipes{make(chan net.Conn), make(chan struct{})} }

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.next:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error { close(p.closed); return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8000} }

func (p pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.next <- theirs
	return ours
}

// serving runs ServeHTTP until stop is called; stop returns its error and how long it took.
func serving(t *testing.T, handler http.HandlerFunc) (_ pipes, stop func() (time.Duration, error)) {
	ctx, cancel := context.WithCancel(t.Context())
	p, ended := newPipes(), make(chan error, 1)
	go func() { ended <- ServeHTTP(ctx, p, handler) }()
	return p, func() (time.Duration, error) {
		began := time.Now()
		cancel()
		err := <-ended
		return time.Since(began), err
	}
}

func TestSilentConnectionIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := serving(t, func(http.ResponseWriter, *http.Request) { t.Error("served") })
		conn, began := p.dial(), time.Now()
		if _, err := io.ReadAll(conn); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != headerTimeout {
			t.Errorf("ended after %s", took)
		}
		if _, err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestHeldRequestEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := serving(t, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		answer := ask(p)
		synctest.Wait()
		if took, err := stop(); err != nil || took >= stopTimeout {
			t.Errorf("%v after %s", err, took)
		}
		if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 503 ") {
			t.Errorf("answered %q", got)
		}
	})
}

func TestRequestThatDoesNotEndIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		p, stop := serving(t, func(http.ResponseWriter, *http.Request) { <-never })
		answer := ask(p)
		synctest.Wait()
		if took, err := stop(); err != nil || took != stopTimeout {
			t.Errorf("%v after %s", err, took)
		}
		if got := <-answer; got != "" {
			t.Errorf("answered %q", got)
		}
		close(never)
	})
}

func TestListenerThatFailsIsNamed(t *testing.T) {
	p := newPipes()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	err := ServeHTTP(t.Context(), closeOnce{p}, http.NotFoundHandler())
	if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "127.0.0.1:8000") {
		t.Errorf("error: %v", err)
	}
}

type closeOnce struct{ pipes }

func (closeOnce) Close() error { return nil }

func TestListenIsGivenBackServedOrNot(t *testing.T) {
	var d Daemon
	for _, served := range []bool{false, true} {
		listener, err := d.Listen(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if served {
			ctx, stop := context.WithCancel(t.Context())
			stop()
			if err := ServeHTTP(ctx, listener, http.NotFoundHandler()); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Errorf("served: %v: %v", served, err)
		}
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("served: %v: still open: %v", served, err)
		}
	}
}

// ask sends a request and returns everything that comes back.
func ask(p pipes) <-chan string {
	conn, answer := p.dial(), make(chan string, 1)
	go func() {
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: here\r\n\r\n")
		got, _ := io.ReadAll(conn)
		answer <- string(got)
	}()
	return answer
}
