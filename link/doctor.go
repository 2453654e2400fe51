package link

import (
	"net/http"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/p2p/doctor"
)

// openDoctor answers the doctors of nodes and of those who may join.
func (l *Link) openDoctor() {
	answers := doctor.Serve(l.host, func(p peer.ID) bool { return l.members.Is(p) })
	l.daemon.Opened(func() error { answers.Close(); return nil })
}

// targets answers the doctor of this site: through whom others reach the link.
func (l *Link) targets(w http.ResponseWriter, _ *http.Request) {
	admin.WriteJSON(w, doctor.Targets{
		Link: l.host.ID(), OwnLink: true, Addresses: l.Addresses(), Relays: doctor.RelayTexts(l.cfg.Relays), Federation: l.cfg.Federation,
	})
}
