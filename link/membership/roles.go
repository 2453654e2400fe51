package membership

import (
	"net/http"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/join"
)

// Only lets members with one of the roles through. The role is looked up for each request,
// since it may have been taken away.
func (m *Members) Only(next http.Handler, roles ...join.Role) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := peer.Decode(r.RemoteAddr)
		if err != nil || !m.Is(p, roles...) {
			http.Error(w, `{"detail":"the role of this peer does not allow this"}`, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
