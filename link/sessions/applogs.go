package sessions

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// appLogs adds output of ClientApps to the log of their run. A node may write only to the logs
// of runs that it takes part in, and only so much.
func (ps *peerSession) appLogs(frame *sessionpb.AppLogs) error {
	runID := frame.GetRunId()
	if !ps.outbox.touched(runID) {
		owed, err := ps.server.cfg.Store.UnansweredByNode(ps.ctx, runID)
		if err != nil || owed[ps.node.ID] == 0 {
			return nil
		}
		ps.outbox.touch(runID)
	}
	prefix := fmt.Sprintf("[node %s] ", ps.displayName())
	var lines []string
	for _, line := range frame.GetLines()[:min(len(frame.GetLines()), maxLogLines)] {
		keep, last := ps.logs.take(runID, len(line))
		if keep {
			lines = append(lines, prefix+oneLine(line)+"\n")
		}
		if last {
			lines = append(lines, fmt.Sprintf("%s(more than %d MiB of output; the rest stays in the log of the node)\n", prefix, maxLogBytes>>20))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if err := ps.server.cfg.Store.AppendLogs(ps.ctx, runID, time.Now(), lines); err != nil {
		log.Warn("output of a ClientApp was not kept", "node", ps.node.ID, "run", runID, "err", err)
	}
	return nil
}

// colours are what apps print around words for a terminal.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// oneLine keeps what a ClientApp printed from forging the lines of others, and from playing
// tricks in the terminal of whoever reads the log.
func oneLine(s string) string {
	s = colours.ReplaceAllString(strings.TrimRight(s, "\r\n"), "")
	return strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

func (ps *peerSession) displayName() string {
	if ps.node.Name != "" {
		return ps.node.Name
	}
	return fmt.Sprint(ps.node.ID)
}

// logBudget counts the output of a node by run.
type logBudget struct {
	mu   sync.Mutex
	used map[uint64]int
}

func newLogBudget() *logBudget { return &logBudget{used: make(map[uint64]int)} }

// take asks for room; last is true once, when the room has just run out.
func (b *logBudget) take(runID uint64, size int) (keep, last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.used) >= maxRuns {
		clear(b.used) // after a thousand runs a session starts counting anew
	}
	before := b.used[runID]
	b.used[runID] = before + size
	if before > maxLogBytes {
		return false, false
	}
	return b.used[runID] <= maxLogBytes, b.used[runID] > maxLogBytes
}
