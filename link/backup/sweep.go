package backup

import (
	"fmt"
	"os"
	"path/filepath"
)

// Sweep removes what backups that crashed have left behind.
func Sweep(dataDir string) error {
	left, err := filepath.Glob(filepath.Join(dataDir, TempPattern))
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
