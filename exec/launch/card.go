package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/internal/datadir"
)

// cardFile is the file in its data folder in which a SuperExec says who it is.
const cardFile = "superexec.json"

// card is what the next owner of the data folder uses to find and judge a SuperExec.
type card struct {
	Process process.Identity `json:"process"`
	// Args follow the name of the program; Program identifies the program file itself.
	Args       []string `json:"args"`
	Executable string   `json:"executable"`
}

// WriteCard records in dataDir that the calling process is the SuperExec of that folder,
// started with args. The caller holds the lock of the folder.
func WriteCard(dataDir string, args []string) error {
	self, err := process.Self()
	if err != nil {
		return fmt.Errorf("name this SuperExec: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("name this SuperExec: %w", err)
	}
	content, err := json.Marshal(card{Process: self, Args: args, Executable: fingerprint(program)})
	if err != nil {
		return err
	}
	if err := datadir.ReplaceFile(filepath.Join(dataDir, cardFile), content, 0o600); err != nil {
		return fmt.Errorf("name this SuperExec: %w", err)
	}
	return nil
}

// readCard returns the card of the last SuperExec in the folder; the zero card if there was none.
func readCard(dataDir string) (card, error) {
	var c card
	content, err := os.ReadFile(filepath.Join(dataDir, cardFile))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("look for a SuperExec: %w", err)
	}
	if err := json.Unmarshal(content, &c); err != nil {
		return card{}, nil // a torn file names no SuperExec; the lock still protects the folder
	}
	return c, nil
}

// suits tells whether that SuperExec is what we would start.
func (c card) suits(program string, args []string) bool {
	return slices.Equal(c.Args, args) && c.Executable == fingerprint(program)
}

// fingerprint changes when the program file is replaced by another version.
func fingerprint(program string) string {
	info, err := os.Stat(program)
	if err != nil {
		return program
	}
	return fmt.Sprintf("%s %d %d", program, info.Size(), info.ModTime().UnixNano())
}
