// Package admin is how a command talks to a running daemon of the same user: JSON over
// HTTP on a unix socket in the daemon's data directory.
//
// The socket has mode 0600 in a directory of mode 0700, so the file system decides who
// may administer the daemon; there is no other authentication. The package is not responsible
// for what the routes do: each daemon brings its own handler.
package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rhizome-fl/rhizome/internal/daemon"
)

// SocketName is the name of the socket in a data directory.
const SocketName = "admin.sock"

// ErrNotRunning means that no daemon serves the data directory.
var ErrNotRunning = errors.New("not running")

// Socket is the admin socket of a data directory; commands may already connect to it.
type Socket struct {
	listener net.Listener
	cleanup  func()
}

// Listen makes the socket of dataDir, so that a daemon can be queried once it says that it is
// ready. [Socket.Serve] or [Socket.Close] must follow. The caller must own the data directory
// (internal/datadir), so that a leftover socket can be replaced.
func Listen(dataDir string) (_ *Socket, err error) {
	address, cleanup, err := socketAddress(dataDir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			cleanup()
		}
	}()
	path := filepath.Join(dataDir, SocketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("replace the old admin socket: %w", err)
	}
	listener, err := net.Listen("unix", address)
	if err != nil {
		return nil, fmt.Errorf("listen on the admin socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("protect the admin socket: %w", err)
	}
	return &Socket{listener, cleanup}, nil
}

// Close removes the socket. After Serve it does nothing.
func (s *Socket) Close() {
	_ = s.listener.Close()
	s.cleanup()
}

// Serve answers on the socket until ctx ends, and then removes it.
func (s *Socket) Serve(ctx context.Context, handler http.Handler) error {
	defer s.Close()
	return daemon.ServeHTTP(ctx, s.listener, handler)
}

// Client talks to the daemon of one data directory.
type Client struct {
	dataDir string
	http    http.Client
	cleanup func()
}

// NewClient prepares a client; it does not connect yet. Close it after use.
func NewClient(dataDir string) (*Client, error) {
	address, cleanup, err := socketAddress(dataDir)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", address)
	}
	return &Client{dataDir: dataDir, cleanup: cleanup, http: http.Client{Transport: &http.Transport{DialContext: dial}}}, nil
}

// Close releases the client's connections.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.cleanup()
}

// Copy sends a request without a body and copies the answer, whatever its length, to w. An
// answer other than 2xx becomes an error with the text that the daemon gave.
func (c *Client) Copy(ctx context.Context, method, path string, w io.Writer) error {
	res, err := c.do(ctx, method, path, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		return answerError(res.StatusCode, answer)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("copy the answer of the daemon: %w", err)
	}
	return nil
}

// Call sends in as JSON (nil: no body) and decodes the answer into out (nil: ignored).
// An answer other than 2xx becomes an error with the text that the daemon gave.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	res, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of the daemon: %w", err)
	}
	if res.StatusCode/100 != 2 {
		return answerError(res.StatusCode, answer)
	}
	if out == nil || len(answer) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("decode the answer of the daemon: %w", err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	target := url.URL{Scheme: "http", Host: "admin", Path: path}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, fmt.Errorf("build the request: %w", err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("no daemon answers for %s: %w", c.dataDir, ErrNotRunning)
		}
		return nil, fmt.Errorf("ask the daemon of %s: %w", c.dataDir, err)
	}
	return res, nil
}

type errorBody struct {
	Error string `json:"error"`
}

func answerError(status int, body []byte) error {
	var said errorBody
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		return errors.New(said.Error)
	}
	return fmt.Errorf("the daemon answered %d %s", status, http.StatusText(status))
}

// WriteJSON answers with a value.
func WriteJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // on failure the command has gone away, and there is nobody to tell
}

// WriteError answers with one line for the user.
func WriteError(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(errorBody{Error: err.Error()})
}

// socketAddress is the path for bind and connect. Paths of unix sockets must be short: if the
// data directory is deeply nested, the path goes through a symbolic link in the temporary folder.
func socketAddress(dataDir string) (address string, cleanup func(), err error) {
	path, err := filepath.Abs(filepath.Join(dataDir, SocketName))
	if err != nil {
		return "", nil, fmt.Errorf("admin socket: %w", err)
	}
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	parent := os.TempDir()
	if len(parent)+len("/rhizome-admin-4294967295/data/"+SocketName) > maxSocketPath {
		parent = "/tmp" // batch systems set a TMPDIR that is deeply nested as well
	}
	dir, err := os.MkdirTemp(parent, "rhizome-admin-") // mode 0700
	if err != nil {
		return "", nil, fmt.Errorf("admin socket: %w", err)
	}
	cleanup = func() { _ = os.RemoveAll(dir) }
	link := filepath.Join(dir, "data")
	if err := os.Symlink(filepath.Dir(path), link); err != nil {
		cleanup()
		return "", nil, fmt.Errorf("admin socket: %w", err)
	}
	return filepath.Join(link, SocketName), cleanup, nil
}
