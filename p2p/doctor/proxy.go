package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/rhizome-fl/rhizome/internal/printable"
)

var (
	errProxySaysNo = errors.New("the proxy says")
	errProxyAuth   = errors.New("the proxy wants a user and a password, such as http://user:password@proxy:3128")
)

// tryProxy asks an HTTP proxy to CONNECT to a host, and hangs up. Other kinds of proxy are tested
// only by the handshake.
func (s *site) tryProxy(ctx context.Context, proxy *url.URL, hostPort string) Step {
	if proxy.Scheme != "http" && proxy.Scheme != "https" {
		return skipped("the proxy is not an HTTP proxy; the handshake shows whether it works")
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	began := time.Now()
	err := s.connectThrough(ctx, proxy, hostPort)
	step := done(began, err)
	switch {
	case errors.Is(err, errProxyAuth):
		step.Failure = FailProxyAuth
	case errors.Is(err, errProxySaysNo):
		step.Failure = FailProxy
	}
	return step
}

func (s *site) connectThrough(ctx context.Context, proxy *url.URL, hostPort string) error {
	c, err := s.dialProxy(ctx, proxy)
	if err != nil {
		return fmt.Errorf("connect to proxy %s: %w", proxy.Host, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: hostPort}, Host: hostPort, Header: make(http.Header)}
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := req.Write(c); err != nil {
		return fmt.Errorf("ask proxy %s: %w", proxy.Host, err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), req)
	if err != nil {
		return fmt.Errorf("answer of proxy %s: %w", proxy.Host, err)
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusProxyAuthRequired:
		return errProxyAuth
	case answer.StatusCode/100 != 2:
		return fmt.Errorf("%w %s to CONNECT %s", errProxySaysNo, printable.Line(answer.Status, maxDetail), hostPort)
	}
	return nil
}

func (s *site) dialProxy(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	port := proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[proxy.Scheme]
	}
	at := net.JoinHostPort(proxy.Hostname(), port)
	if proxy.Scheme == "https" {
		return (&tls.Dialer{Config: &tls.Config{RootCAs: s.cfg.RootCAs}}).DialContext(ctx, "tcp", at)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", at)
}
