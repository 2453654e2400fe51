package launch

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// openLog opens the file for what the SuperExec itself has to say. A file that has grown too
// large is set aside first.
func (s *SuperExec) openLog() (*os.File, error) {
	path := s.logFile()
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("log of the SuperExec: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of the SuperExec: %w", err)
	}
	return file, nil
}

func (s *SuperExec) logFile() string { return filepath.Join(s.opts.DataDir, "superexec.log") }

// lastWords returns the last line of the SuperExec's log.
func (s *SuperExec) lastWords() string {
	file, err := os.Open(s.logFile())
	if err != nil {
		return "it left no log"
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > maxWords {
		_, _ = file.Seek(-maxWords, io.SeekEnd)
	}
	tail, _ := io.ReadAll(io.LimitReader(file, maxWords))
	lines := strings.Split(strings.TrimSpace(string(tail)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return "see " + s.logFile()
}
