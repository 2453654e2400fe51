package admin

import (
	"net/http"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/link/backup"
)

// serveBackup sends a backup. Once it has begun, an error can only cut it short, which its
// reader notices.
func (a *Admin) serveBackup(w http.ResponseWriter, r *http.Request) {
	prepared, err := backup.Prepare(r.Context(), a.cfg.Backup)
	if err != nil {
		admin.WriteError(w, http.StatusServiceUnavailable, err)
		return
	}
	defer func() {
		if err := prepared.Close(); err != nil {
			log.Warn("files of a backup were not removed", "err", err)
		}
	}()
	w.Header().Set("Content-Type", "application/x-tar")
	if _, err := prepared.WriteTo(w); err != nil {
		log.Warn("a backup was cut short", "err", err)
		panic(http.ErrAbortHandler)
	}
}
