package datadir

import (
	"encoding/json"
	"fmt"
	"path/filepath"
)

// KindOf tells of which kind a data directory is, whether a daemon holds it or not. The error
// is one of fs.ErrNotExist if there is no data directory.
func KindOf(path string) (string, error) {
	text, err := readBounded(filepath.Join(path, markerName))
	if err != nil {
		return "", fmt.Errorf("look what %s is: %w", path, err)
	}
	var m marker
	if err := json.Unmarshal(text, &m); err != nil || m.Kind == "" {
		return "", fmt.Errorf("%s is damaged: it does not say of which kind %s is", filepath.Join(path, markerName), path)
	}
	return m.Kind, nil
}
