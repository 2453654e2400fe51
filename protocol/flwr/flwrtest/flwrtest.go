// Package flwrtest lets tests call a handler as Flower's clients do, over in-memory
// connections, so that they also work under virtual time (testing/synctest), and makes the
// messages that such clients send.
//
// It is not responsible for judging answers.
package flwrtest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"
)

// Client makes requests to one handler. Its methods may be called concurrently.
type Client struct {
	t        testing.TB
	listener *pipeListener
	http     *http.Client
	stop     context.CancelFunc
	// Interim counts the interim responses to all requests.
	Interim atomic.Int32
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Err is why the body did not arrive in full.
	Err error
}

// Serve serves handler until the test ends.
func Serve(t testing.TB, handler http.Handler) *Client {
	t.Helper()
	listener := newPipeListener()
	ctx, stop := context.WithCancel(context.Background())
	server := &http.Server{Handler: handler, BaseContext: func(net.Listener) context.Context { return ctx }}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	transport := &http.Transport{DialContext: listener.dial, DisableCompression: true}
	t.Cleanup(func() {
		stop()
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
	})
	return &Client{t: t, listener: listener, stop: stop, http: &http.Client{Transport: transport}}
}

// Post sends a message as a Flower client does; header holds pairs of name and value.
func (c *Client) Post(path string, msg proto.Message, header ...string) Answer {
	c.t.Helper()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(msg)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.PostBytes(path, body, header...)
}

// PostBytes sends an arbitrary body with Flower's content type.
func (c *Client) PostBytes(path string, body []byte, header ...string) Answer {
	c.t.Helper()
	return c.Do("POST", path, bytes.NewReader(body), append([]string{"Content-Type", "application/protobuf"}, header...)...)
}

// Do sends an arbitrary request. A header that is named twice is sent twice, except
// Content-Type, of which the last value counts.
func (c *Client) Do(method, path string, body io.Reader, header ...string) Answer {
	c.t.Helper()
	res := c.Open(c.t.Context(), method, path, body, header...)
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return Answer{Status: res.StatusCode, Header: res.Header, Body: content, Err: err}
}

// Open sends a request and returns when the head of its answer has arrived. The caller closes
// the body.
func (c *Client) Open(ctx context.Context, method, path string, body io.Reader, header ...string) *http.Response {
	c.t.Helper()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			c.Interim.Add(1)
			return nil
		},
	})
	req, err := http.NewRequestWithContext(ctx, method, "http://superlink.test"+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Content-Type" {
			req.Header.Set(header[i], header[i+1])
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res
}

// Stop ends the contexts of all requests, as a server does when it shuts down.
func (c *Client) Stop() { c.stop() }

// Raw is a connection to the server, for bytes that no HTTP client sends. The caller closes it.
func (c *Client) Raw() net.Conn {
	conn, err := c.listener.dial(context.Background(), "", "")
	if err != nil {
		c.t.Error("connect: ", err)
		closed, _ := net.Pipe()
		return closed
	}
	return conn
}

// Code is the code of an error answer, or 0.
func (a Answer) Code() int {
	var shape struct{ Code int }
	_ = json.Unmarshal(a.Body, &shape)
	return shape.Code
}

// Into decodes a successful answer.
func (a Answer) Into(t testing.TB, msg proto.Message) {
	t.Helper()
	if a.Status != http.StatusOK || a.Err != nil {
		t.Fatalf("answer is %d %s (%v)", a.Status, a.Body, a.Err)
	}
	if err := proto.Unmarshal(a.Body, msg); err != nil {
		t.Fatal("decode answer: ", err)
	}
}

// pipeListener accepts connections that are made in memory.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	down   atomic.Bool
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	if !l.down.Swap(true) {
		close(l.closed)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }

// Recode reads a message as another type with the same wire form, for example a request with
// messages as the type that a server gets, which holds bytes.
func Recode[M proto.Message](t testing.TB, from proto.Message, into M) M {
	t.Helper()
	encoded, err := proto.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(encoded, into); err != nil {
		t.Fatalf("%T is not %T: %v", from, into, err)
	}
	return into
}
