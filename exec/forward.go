package exec

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rhizome-fl/rhizome/internal/retry"
)

// forwarder sends the lines of one app to its host, in order. While a request is under way,
// lines gather for the next one: a quiet app is heard at once, and a loud one in batches.
type forwarder struct {
	send func(ctx context.Context, lines []string) error

	mu      sync.Mutex
	lines   []string
	size    int
	dropped int
	closed  bool
	wake    chan struct{}
}

func newForwarder(send func(context.Context, []string) error) *forwarder {
	return &forwarder{send: send, wake: make(chan struct{}, 1)}
}

// add takes a line without its newline. It never blocks: beyond the bound, lines are dropped.
func (f *forwarder) add(line []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if f.size+len(line) > maxQueuedBytes {
		f.dropped++
		return
	}
	if f.dropped > 0 {
		f.push(fmt.Sprintf("[%d lines were left out: they came faster than they could be sent]", f.dropped))
		f.dropped = 0
	}
	f.push(string(line))
	f.ring()
}

// close says that no more lines will come; run returns once the remaining ones have been sent.
func (f *forwarder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.ring()
}

// run sends lines until close is called, ctx ends, or the host wants no more lines.
func (f *forwarder) run(ctx context.Context) {
	pause := retry.Between(retryFirst, retryMost)
	for {
		batch, last := f.take()
		if len(batch) == 0 {
			if last {
				return
			}
			select {
			case <-f.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		for {
			err := f.send(ctx, batch)
			if err == nil {
				pause.Reset()
				break
			}
			if errors.Is(err, errDeadToken) || errors.Is(err, errUnsupported) || isPermanent(err) {
				log.Debug("the host does not want the lines of an app", "reason", err)
				f.close()
				return
			}
			if !pause.Wait(ctx) {
				return
			}
		}
	}
}

// take removes one batch; last says that none will follow it.
func (f *forwarder) take() (batch []string, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	size, count := 0, 0
	for count < len(f.lines) && count < maxBatchLines && size < maxBatchBytes {
		size += len(f.lines[count])
		count++
	}
	batch = f.lines[:count:count]
	f.lines = f.lines[count:]
	f.size -= size
	return batch, f.closed && len(f.lines) == 0
}

func (f *forwarder) push(line string) {
	f.lines = append(f.lines, line+"\n")
	f.size += len(line) + 1
}

func (f *forwarder) ring() {
	select {
	case f.wake <- struct{}{}:
	default: // rung already
	}
}
