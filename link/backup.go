package link

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/link/backup"
)

// Backup takes a snapshot of the running link; see package backup. The caller closes it.
func (l *Link) Backup(ctx context.Context) (*backup.Prepared, error) {
	return backup.Prepare(ctx, backup.Source{
		PeerID: l.host.ID().String(), Software: l.cfg.Software, DataDir: l.dir.Path(),
		Snapshot: l.copy, Export: l.objects.Export,
	})
}

// serveBackup sends a backup. Once it has begun, an error can only cut it short, which who
// reads it notices.
func (l *Link) serveBackup(w http.ResponseWriter, r *http.Request) {
	prepared, err := l.Backup(r.Context())
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
		log.Warn("a backup was not sent to its end", "err", err)
		panic(http.ErrAbortHandler)
	}
}

// sweepBackups removes what a crash has left of backups.
func sweepBackups(dataDir string) error {
	left, err := filepath.Glob(filepath.Join(dataDir, backup.TempPattern))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove what is left of a backup: %w", err)
		}
	}
	return nil
}
