//go:build linux

package natlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// proxyDialTimeout keeps a dial through the proxy from taking longer than clients wait.
const proxyDialTimeout = 10 * time.Second

// connectProxy is the HTTP CONNECT proxy of a Proxy site. It runs in this process, with
// its sockets on the gateway.
type connectProxy struct {
	ns     string
	server http.Server
	ctx    context.Context // ends tunnels
	stop   context.CancelFunc
	work   sync.WaitGroup
}

func (l *Lab) addProxy(gw, addr string) error {
	p := &connectProxy{ns: l.Namespace(gw)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.server.Handler = http.HandlerFunc(p.serve)
	var listener net.Listener
	err := inNS(p.ns, func() (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprintf("%s:%d", addr, ProxyPort))
		return err
	})
	if err != nil {
		return fmt.Errorf("start proxy: %w", err)
	}
	p.work.Go(func() { _ = p.server.Serve(listener) }) // ends by close
	l.closers = append(l.closers, p.close)
	return nil
}

func (p *connectProxy) close() error {
	p.stop()
	err := p.server.Close()
	p.work.Wait()
	return err
}

func (p *connectProxy) serve(w http.ResponseWriter, r *http.Request) {
	target, err := netip.ParseAddrPort(r.Host)
	switch {
	case r.Method != http.MethodConnect:
		http.Error(w, "this proxy does CONNECT only", http.StatusMethodNotAllowed)
		return
	case err != nil:
		http.Error(w, "this proxy resolves no names", http.StatusBadGateway)
		return
	case target.Port() != 443:
		http.Error(w, "this proxy connects to port 443 only", http.StatusForbidden)
		return
	}
	var far net.Conn
	err = inNS(p.ns, func() (err error) {
		far, err = net.DialTimeout("tcp4", target.String(), proxyDialTimeout)
		return err
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	near, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = far.Close()
		return
	}
	p.work.Go(func() { p.tunnel(near, buffered, far) })
}

// tunnel copies both ways until either side ends.
func (p *connectProxy) tunnel(near net.Conn, buffered io.Reader, far net.Conn) {
	closeBoth := func() { _ = errors.Join(near.Close(), far.Close()) }
	defer context.AfterFunc(p.ctx, closeBoth)()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		closeBoth()
		return
	}
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(far, buffered)
		closeBoth()
	})
	_, _ = io.Copy(near, far)
	closeBoth()
	up.Wait()
}
