package datadir

import (
	"encoding/json"
	"fmt"
	"path/filepath"
)

// KindOf returns the kind of a data directory, whether or not a daemon holds it. The error
// wraps fs.ErrNotExist if there is no data directory.
func KindOf(path string) (string, error) {
	text, err := readBounded(filepath.Join(path, markerName))
	if err != nil {
		return "", fmt.Errorf("find out the kind of %s: %w", path, err)
	}
	var m marker
	if err := json.Unmarshal(text, &m); err != nil || m.Kind == "" {
		return "", fmt.Errorf("%s is damaged: it does not say what kind of directory %s is", filepath.Join(path, markerName), path)
	}
	return m.Kind, nil
}
