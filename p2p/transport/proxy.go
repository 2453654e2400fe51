package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Proxy leads to WebSocket addresses. The zero value is the proxy of the environment: what
// HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
type Proxy struct {
	URL *url.URL // http, https or socks5; nil: the proxy of the environment
}

// Validate returns what is wrong with the proxy's URL.
func (p Proxy) Validate() error {
	if p.URL == nil || p.URL.Host != "" && slices.Contains([]string{"http", "https", "socks5"}, p.URL.Scheme) {
		return nil
	}
	return fmt.Errorf("proxy %q: want a URL like http://proxy.example:3128", p.URL.Redacted())
}

// of returns the proxy for a request. From the environment, HTTPS_PROXY serves ws addresses too:
// the proxy is asked to CONNECT either way.
func (p Proxy) of(r *http.Request) (*url.URL, error) {
	if p.URL != nil {
		return p.URL, nil
	}
	proxy, err := http.ProxyFromEnvironment(r)
	if proxy != nil || err != nil || r.URL.Scheme == "https" {
		return proxy, err
	}
	secure := *r
	u := *r.URL
	u.Scheme = "https"
	secure.URL = &u
	return http.ProxyFromEnvironment(&secure)
}

// Aliases adds to addresses, for each WebSocket address that the proxy leads to, the same address
// with /http in place of /ws. The swarm does not dial WebSocket where it also knows TCP on the
// same port, and behind a proxy only WebSocket works; under this name it tries both.
func (p Proxy) Aliases(addrs []ma.Multiaddr) []ma.Multiaddr {
	all := slices.Clone(addrs)
	for _, a := range addrs {
		if other := alias(a); !other.Equal(a) && p.leadsTo(a) {
			all = append(all, other)
		}
	}
	return all
}

// For returns the proxy through which a WebSocket at host:port is reached; nil means none.
func (p Proxy) For(hostPort string) *url.URL {
	proxy, err := p.of(&http.Request{URL: &url.URL{Scheme: "https", Host: hostPort}})
	if err != nil {
		return nil
	}
	return proxy
}

// leadsTo reports whether a WebSocket address is dialled through a proxy.
func (p Proxy) leadsTo(a ma.Multiaddr) bool {
	_, to, err := manet.DialArgs(bare(a))
	return err == nil && p.For(to) != nil
}

// bare returns the TCP address in a WebSocket address.
func bare(a ma.Multiaddr) ma.Multiaddr {
	tcp, _ := ma.SplitFunc(a, func(c ma.Component) bool {
		return slices.Contains([]int{ma.P_WS, ma.P_WSS, ma.P_TLS}, c.Protocol().Code)
	})
	return tcp
}

func alias(a ma.Multiaddr) ma.Multiaddr   { return swapLast(a, ma.P_WS, ma.P_HTTP) }
func unalias(a ma.Multiaddr) ma.Multiaddr { return swapLast(a, ma.P_HTTP, ma.P_WS) }

// swapLast replaces the last part of an address, if it is of one kind, with one of another.
func swapLast(a ma.Multiaddr, from, to int) ma.Multiaddr {
	head, last := ma.SplitLast(a)
	if head == nil || last == nil || last.Protocol().Code != from {
		return a
	}
	return head.Encapsulate(ma.StringCast("/" + ma.ProtocolWithCode(to).Name))
}
