package streams

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestHTTPOverStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{}
		l := Listen(h, "server", testProtocol, Options{Places: 2, PerPeer: 1})
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "you are ", r.RemoteAddr) })}
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		get := func(near *fakeStream) string {
			t.Helper()
			fmt.Fprint(near, "GET / HTTP/1.1\r\nHost: link\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(near), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		near, a := h.open("a")
		if got := get(near); got != "you are "+peerAddr("a").String() {
			t.Errorf("the server says %q", got)
		}
		_, again := h.open("a")
		expect(t, again, "no place")
		_ = near.Close() // and the server's end follows
		synctest.Wait()
		expect(t, a, "closed")
		near, again = h.open("a")
		get(near)
		expect(t, again, "open")

		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		expect(t, again, "closed")
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed listener: %v", err)
		}
		h.streams.Wait()
	})
}

func TestClosingAListenerLeavesWhatWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{}
		l := Listen(h, "server", testProtocol, Options{Places: 2, PerPeer: 2})
		near, accepted := h.open("a")
		conn, err := l.Accept()
		if err != nil || conn.RemoteAddr().String() != peerAddr("a").String() || conn.LocalAddr().String() != l.Addr().String() {
			t.Fatal(conn, err)
		}
		_, waits := h.open("a")
		expect(t, waits, "open")
		_, beyond := h.open("b")
		expect(t, beyond, "no place")
		_ = l.Close()
		_ = l.Close()
		expect(t, waits, "reset")
		time.Sleep(time.Hour)
		go conn.Write([]byte("x"))
		if _, err := near.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		expect(t, accepted, "open")
		_ = conn.Close()
		expect(t, accepted, "closed")
		if near, _ := h.open("a"); near != nil {
			t.Error("it still listens")
		}
		h.streams.Wait()
	})
}
