package link

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

// demandToken lets only those requests of the Control API through that carry the token. The
// routes for logging in are open, since a client that asks them has no token yet: they answer
// that there is nothing to log in to.
func demandToken(token []byte, next http.Handler) http.Handler {
	if len(token) == 0 {
		return next
	}
	want := sha256.Sum256(token) // hashes have one length, so comparing them leaks nothing
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case flwr.PathGetLoginDetails, flwr.PathGetAuthTokens, flwr.PathRefreshAuthTokens:
			next.ServeHTTP(w, r)
			return
		}
		values := r.Header.Values("Authorization")
		if len(values) == 1 {
			scheme, given, _ := strings.Cut(values[0], " ")
			got := sha256.Sum256([]byte(strings.TrimSpace(given)))
			if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
				next.ServeHTTP(w, r)
				return
			}
		}
		flwr.WriteError(w, flwr.NotAuthenticated())
	})
}

// sameMachine lets only requests from this machine through. The Runtime API hands out work,
// with the apps and the tokens of its tasks: any process that can ask counts as a SuperExec.
func sameMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r) {
			flwr.WriteError(w, flwr.Plain(http.StatusForbidden,
				"The Runtime API is for processes on the SuperLink's machine; to serve other machines, start the SuperLink with --superexec-auth-secret-file."))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal reports whether a request comes from an address of this machine: from loopback, or
// from the very address that it was sent to.
func isLocal(r *http.Request) bool {
	from := addressOf(r.RemoteAddr)
	if from == nil {
		return false
	}
	if from.IsLoopback() {
		return true
	}
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && from.Equal(addressOf(at.String()))
}

func addressOf(hostport string) net.IP {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil
	}
	return net.ParseIP(host)
}
