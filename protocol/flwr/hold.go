package flwr

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Hold runs wait, which may take as long as it likes, and meanwhile keeps the client patient
// with an interim response (102) every [KeepAlive]. The context of wait ends when the client
// leaves or the server stops. wait must not write to w; once Hold has returned, the answer may
// begin.
func Hold(w http.ResponseWriter, r *http.Request, wait func(ctx context.Context) error) error {
	if !r.ProtoAtLeast(1, 1) { // such a client does not know interim responses
		return wait(r.Context())
	}
	k := &keepAlive{w: w}
	k.start()
	defer k.stop()
	return wait(r.Context())
}

// keepAlive sends interim responses from a timer: most held requests end before the first
// one is due, and so cost no goroutine.
type keepAlive struct {
	w http.ResponseWriter

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func (k *keepAlive) start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(KeepAlive, k.beat)
}

func (k *keepAlive) beat() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped {
		return
	}
	k.w.WriteHeader(http.StatusProcessing)
	k.timer.Reset(KeepAlive)
}

// stop returns when no interim response is being written and none will be.
func (k *keepAlive) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	k.timer.Stop()
}
