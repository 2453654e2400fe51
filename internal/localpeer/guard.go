package localpeer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
)

// ErrForeign is why a connection or request is refused. It is permanent.
var ErrForeign = errors.New("it is not for you")

// Guard says whom a port is for. The zero value admits the processes of the user who runs this
// one, and of root. A Guard must not be changed once it is in use.
type Guard struct {
	// Users are the ids of other users whose processes are admitted.
	Users []uint32
	// AnyUser admits the processes of all users of this machine.
	AnyUser bool
	// Names are host names by which the port may be addressed, besides localhost and plain
	// addresses: for instance those of a certificate.
	Names []string

	// owner returns the user of the socket at the other end of a connection; nil means asking the kernel.
	owner func(local, remote netip.AddrPort) (uint32, error)
}

// CheckConn decides about a connection; those from addresses other than loopback are not its
// business. The error wraps [ErrForeign], or says what could not be found out.
func (g *Guard) CheckConn(c net.Conn) error {
	return g.checkAddrs(c.LocalAddr(), c.RemoteAddr())
}

func (g *Guard) checkAddrs(localAddr, remoteAddr net.Addr) error {
	if g.AnyUser || !Supported {
		return nil
	}
	local, remote, err := pair(localAddr, remoteAddr)
	if err != nil {
		return err
	}
	if !remote.Addr().IsLoopback() && remote.Addr() != local.Addr() {
		return nil // from another machine
	}
	find := g.owner
	if find == nil {
		find = ownerOf
	}
	uid, err := find(local, remote)
	if err != nil {
		return fmt.Errorf("find out whose process is at %s: %w", remote, err)
	}
	if uid == 0 || uid == uint32(os.Geteuid()) || slices.Contains(g.Users, uid) {
		return nil
	}
	return fmt.Errorf("the process at %s belongs to user %d: %w", remote, uid, ErrForeign)
}

// CheckRequest decides about the headers of a request.
func (g *Guard) CheckRequest(r *http.Request) error {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !g.knows(host) {
		return fmt.Errorf("it was addressed by the name %.100q: %w", host, ErrForeign)
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return fmt.Errorf("a web page of %.100q sent the request: %w", origin, ErrForeign)
		}
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "same-origin", "none":
	default:
		return fmt.Errorf("a web page of another site sent the request (%.20q): %w", site, ErrForeign)
	}
	return nil
}

// knows tells whether a host cannot hide a page of another site: a browser takes a name for the
// site it belongs to, so names must be known. Addresses are what they are.
func (g *Guard) knows(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return slices.ContainsFunc(g.Names, func(name string) bool { return strings.EqualFold(name, host) })
}

// Handler passes on to next the requests that the guard lets through; refuse answers the rest. The
// kernel is asked once per connection if the server's ConnContext is [ConnContext].
func (g *Guard) Handler(next http.Handler, refuse func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := g.CheckRequest(r)
		if err == nil {
			err = g.checkConnOf(r)
		}
		if err != nil {
			refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *Guard) checkConnOf(r *http.Request) error {
	if v, ok := r.Context().Value(verdictKey{}).(*verdict); ok {
		return v.of(g)
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || local == nil {
		return fmt.Errorf("find out who is asking: no address in the request of %.50q", r.RemoteAddr)
	}
	return g.checkAddrs(local, net.TCPAddrFromAddrPort(remote))
}

type verdictKey struct{}

// verdict remembers what was found out about a connection, for each guard.
type verdict struct {
	conn net.Conn

	mu   sync.Mutex
	said map[*Guard]error
}

func (v *verdict) of(g *Guard) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	err, known := v.said[g]
	if !known {
		err = g.CheckConn(v.conn)
		v.said[g] = err
	}
	return err
}

// ConnContext is for http.Server.ConnContext: it remembers what was found out about each
// connection, since the process at the other end of a connection stays the same.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, verdictKey{}, &verdict{conn: c, said: make(map[*Guard]error)})
}

func pair(localAddr, remoteAddr net.Addr) (local, remote netip.AddrPort, err error) {
	l, okL := localAddr.(*net.TCPAddr)
	r, okR := remoteAddr.(*net.TCPAddr)
	if !okL || !okR {
		return local, remote, fmt.Errorf("find out who is at %v: it is not a TCP connection", remoteAddr)
	}
	plain := func(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
	return plain(l.AddrPort()), plain(r.AddrPort()), nil
}
