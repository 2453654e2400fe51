package runtimeapi

import (
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

// lastWords remembers the tokens of tasks that their apps have ended, for push-logs alone:
// what an app prints last is read from its pipe when the token is already dead. Everything
// else that a token could do ends with its task. A restart forgets the tokens, which costs at
// most the last lines of an app.
type lastWords struct {
	mu    sync.Mutex
	ended map[string]ended // by token
}

type ended struct {
	task  task.Task
	until time.Time
}

func newLastWords() *lastWords { return &lastWords{ended: make(map[string]ended)} }

// remember is called when the app with this token has ended its task.
func (l *lastWords) remember(token string, t task.Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for old, e := range l.ended {
		if now.After(e.until) {
			delete(l.ended, old)
		}
	}
	if len(l.ended) < maxLastWords {
		l.ended[token] = ended{t, now.Add(lastWordsLimit)}
	}
}

// of finds the task of a token that ended a moment ago.
func (l *lastWords) of(token string) (task.Task, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.ended[token]
	return e.task, ok && !time.Now().After(e.until)
}
