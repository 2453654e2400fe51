package runtimeapi

import (
	"errors"
	"net/http"

	"github.com/rhizome-fl/rhizome/internal/localpeer"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

// Guarded passes on to one of Flower's APIs the requests that the guard lets through. Others are
// refused in Flower's own way, so that its tools show the reason.
func Guarded(guard *localpeer.Guard, next http.Handler) http.Handler {
	return guard.Handler(next, func(w http.ResponseWriter, r *http.Request, err error) {
		log.Warn("request refused", "addr", r.RemoteAddr, "path", r.URL.Path, "err", err)
		reason := "This port is for processes of the user who runs Rhizome here, and of those named with --allow-users: " + err.Error() + "."
		if !errors.Is(err, localpeer.ErrForeign) {
			reason = "This port is for certain users of this machine, and who you are could not be found out: " + err.Error() + "."
		}
		flwr.WriteError(w, flwr.Plain(http.StatusForbidden, reason))
	})
}
