package flwr

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Hold runs wait for a request that is answered when something happens. Meanwhile the
// client gets an interim response (102) every [KeepAlive], each of which restarts its
// read time-out. The first is sent only after that time, so that what is answered soon
// costs nothing extra. wait gets the request's context; Hold returns its error when it is
// done, and writes nothing to w afterwards.
func Hold(w http.ResponseWriter, r *http.Request, wait func(ctx context.Context) error) error {
	stop := make(chan struct{})
	var alive sync.WaitGroup
	alive.Add(1)
	go func() {
		defer alive.Done()
		ticker := time.NewTicker(KeepAlive)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				w.WriteHeader(http.StatusProcessing)
			case <-stop:
				return
			}
		}
	}()
	// Also when wait panics: net/http recovers, and w must not be used after that.
	defer alive.Wait()
	defer close(stop)
	return wait(r.Context())
}
