package transport

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// HTTPS_PROXY is what sites set, even for ws, which is a tunnel either way.
func TestProxyOfEnvironment(t *testing.T) {
	own := &url.URL{Scheme: "http", Host: "own:1"}
	r := httptest.NewRequest(http.MethodGet, "http://relay.example/", nil)
	if got, err := (Proxy{own}).of(r); err != nil || got != own {
		t.Errorf("the host's own proxy: %v, %v", got, err)
	}
	if _, err := new(Proxy).of(r); err != nil {
		t.Error(err)
	}
}
