package admin

import (
	"net/http"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/p2p/doctor"
)

// targets tells the doctor of this site through whom others reach the link.
func (a *Admin) targets(w http.ResponseWriter, _ *http.Request) {
	admin.WriteJSON(w, doctor.Targets{
		Link: a.cfg.Host.ID(), OwnLink: true, Addresses: a.Addresses(), Relays: doctor.RelayTexts(a.cfg.Relays), Federation: a.cfg.Federation,
	})
}
