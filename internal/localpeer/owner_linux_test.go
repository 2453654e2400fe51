package localpeer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const nobody = 65534

// asNobody runs a shell script as a user who owns nothing here.
func asNobody(t *testing.T, script string) []byte {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	command := exec.CommandContext(t.Context(), "bash", "-c", script)
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return out
}

// request is shell code that writes a request and then does something with the answer.
func request(port string, then string) string {
	return fmt.Sprintf(`exec 3<>/dev/tcp/127.0.0.1/%s; printf 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3; %s`, port, then)
}

func TestAnotherUserIsRefused(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", ":0"} { // the second one is IPv6, and sees IPv4 in it
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		guard := &Guard{}
		server := httptest.NewUnstartedServer(guard.Handler(http.NotFoundHandler(), refuseWith403))
		server.Listener.Close()
		server.Listener, server.Config.ConnContext = listener, ConnContext
		server.Start()
		defer server.Close()
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		if got := asNobody(t, request(port, "cat <&3")); !strings.Contains(string(got), "403") || !strings.Contains(string(got), "belongs to user 65534") {
			t.Errorf("%s: nobody got %q", address, got)
		}
		response, err := http.Get("http://127.0.0.1:" + port)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: our own request got %s", address, response.Status)
		}
	}
}

// TestWhoHangsUpIsNotTakenForRoot has another user send a request and end before anybody looks;
// the kernel then says that the socket is root's.
func TestWhoHangsUpIsNotTakenForRoot(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	asNobody(t, request(port, ":"))
	c, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := (&Guard{}).CheckConn(c); err == nil {
		t.Error("the request of a process that has ended was taken for root's")
	}
}

func TestListenerClosesOthers(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	listener := (&Guard{}).Listener(inner, slog.New(slog.NewTextHandler(&logged, nil)))
	defer listener.Close()
	type result struct {
		said string
		err  error
	}
	accepted := make(chan result, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			accepted <- result{err: err}
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		said, err := io.ReadAll(c)
		accepted <- result{string(said), err}
	}()
	_, port, _ := net.SplitHostPort(inner.Addr().String())
	asNobody(t, fmt.Sprintf(`exec 3<>/dev/tcp/127.0.0.1/%s; cat <&3`, port)) // until it is closed
	c, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("mine")); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := <-accepted; got.said != "mine" || got.err != nil && !errors.Is(got.err, io.EOF) {
		t.Errorf("the first connection that got through said %q, %v", got.said, got.err)
	}
	if !strings.Contains(logged.String(), "user 65534") {
		t.Errorf("the log says %q", logged.String())
	}
}

// TestBothWaysToAskAgree asks for both ends of real connections: IPv4, IPv6, and IPv4 inside IPv6.
func TestBothWaysToAskAgree(t *testing.T) {
	for listen, dial := range map[string]string{"127.0.0.1:0": "127.0.0.1", "[::1]:0": "::1", ":0": "127.0.0.1"} {
		listener, err := net.Listen("tcp", listen)
		if err != nil {
			t.Logf("%s is left out: %v", listen, err)
			continue
		}
		defer listener.Close()
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		client, err := net.Dial("tcp", net.JoinHostPort(dial, port))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		local, remote, err := pair(server.LocalAddr(), server.RemoteAddr())
		if err != nil {
			t.Fatal(err)
		}
		for name, ask := range map[string]func(local, remote netip.AddrPort) (uint32, error){"kernel": askKernel, "proc": ownerInProc} {
			if uid, err := ask(local, remote); err != nil || uid != uint32(os.Geteuid()) {
				t.Errorf("%s, by %s: user %d, %v", listen, name, uid, err)
			}
			if _, err := ask(local, netip.AddrPortFrom(remote.Addr(), 1)); err == nil {
				t.Errorf("%s, by %s: a socket that does not exist has a user", listen, name)
			}
		}
	}
}
