package exec

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

// read returns the function that reads the output to its end: into the log, past the gate
// of the installation, and to the host if lines are shared.
func (a *app) read(ctx context.Context) func() {
	if a.pipe == nil {
		return func() {}
	}
	forward := func([]byte) {}
	finish := func() {}
	if a.sharesLines() {
		forward, finish = a.forward(ctx)
	}
	return func() {
		defer finish()
		err := a.pipe.Lines(func(line []byte) {
			if a.log != nil {
				a.log.WriteLine(line)
			}
			a.turn.Output(line)
			forward(line)
			if len(strings.TrimSpace(string(line))) > 0 {
				a.lastLine = slices.Clone(line[:min(len(line), maxDetail)])
			}
		})
		if err != nil {
			log.Warn("the output of an app could not be read to its end", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
		}
	}
}

// forward starts to send lines. finish sends what is left, within a time limit.
func (a *app) forward(ctx context.Context) (add func([]byte), finish func()) {
	f := newForwarder(func(ctx context.Context, lines []string) error {
		return a.s.api.pushLogs(ctx, a.token, a.rec.RunID, lines)
	})
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var sender sync.WaitGroup
	sender.Go(func() { f.run(sending) })
	return f.add, func() {
		f.close()
		limit := time.AfterFunc(partingLimit, cancel)
		sender.Wait()
		limit.Stop()
		cancel()
	}
}

// sharesLines is false for a ServerApp, which sends its lines itself.
func (a *app) sharesLines() bool { return a.s.cfg.ShareLogs && a.rec.Type == task.TypeClientApp }

// mayQuote tells whether a line of the app may leave this machine.
func (a *app) mayQuote() bool { return a.s.cfg.ShareLogs || a.rec.Type == task.TypeServerApp }
