package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// ShareLogs sends lines of app output to the link if there is a session that keeps up;
// otherwise they are dropped, and their number is reported later. It never blocks.
func (c *Client) ShareLogs(runID uint64, lines []string) {
	for len(lines) > 0 {
		n := min(len(lines), maxLogLines)
		frame := &sessionpb.AppLogs{RunId: runID, Lines: make([]string, n)}
		for i, line := range lines[:n] {
			frame.Lines[i] = strings.ToValidUTF8(line[:min(len(line), maxLogLine)], "?")
		}
		select {
		case c.logs <- frame:
		default:
			c.lost.Add(int64(n))
		}
		lines = lines[n:]
	}
}

func (c *Client) writeLogs(ctx context.Context, o *open) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case logs := <-c.logs:
			if n := c.lost.Swap(0); n > 0 {
				logs.Lines = append(logs.Lines, fmt.Sprintf("(%d lines of app output were dropped: the connection is too slow)", n))
			}
			if err := o.write(&sessionpb.Frame{Body: &sessionpb.Frame_AppLogs{AppLogs: logs}}); err != nil {
				return err
			}
		}
	}
}
