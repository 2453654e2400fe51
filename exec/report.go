package exec

import (
	"context"
	"errors"
	"strings"

	"github.com/rhizome-fl/rhizome/internal/retry"
)

// endedByHost waits for the host to end the task. It returns false if the host will not tell us.
func (a *app) endedByHost(ctx context.Context) bool {
	pause := retry.Between(retryFirst, retryMost)
	for {
		err := a.s.api.awaitEnd(ctx, a.token)
		switch {
		case ctx.Err() != nil, errors.Is(err, errUnsupported):
			return false
		case err == nil:
			return true
		case errors.Is(err, errDeadToken):
			return retry.Sleep(ctx, deadTokenGrace)
		case isPermanent(err):
			log.Warn("the host does not say when a task is to end", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
			return false
		}
		if !pause.Wait(ctx) {
			return false
		}
	}
}

// report tells the host how the process ended. It returns false if the host could not be told.
func (a *app) report(ctx context.Context) bool {
	pause := retry.Between(retryFirst, retryMost)
	for {
		err := a.s.api.reportExit(ctx, a.token, *a.rec.Exit)
		if ctx.Err() != nil {
			break
		}
		if told(err) {
			return true
		}
		log.Debug("the end of a task was not reported; trying again", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
		if !pause.Wait(ctx) {
			break
		}
	}
	parting, cancel := context.WithTimeout(context.WithoutCancel(ctx), partingLimit)
	defer cancel()
	return told(a.s.api.reportExit(parting, a.token, *a.rec.Exit))
}

// told tells whether there is nothing more to report: the host knows, or does not want to know.
func told(err error) bool {
	return err == nil || errors.Is(err, errUnsupported) || errors.Is(err, errDeadToken) || isPermanent(err)
}

// oneLine makes text fit for a report.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "..."
	}
	return text
}
