package exec

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// work asks for tasks and starts an app for each, until ctx ends.
func (s *superExec) work(ctx context.Context) error {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		claimed, token, err := s.acquire(ctx)
		if ctx.Err() != nil {
			return nil // a task that was given to us just now goes back when its claim expires
		}
		if err != nil {
			return err
		}
		s.apps.Go(func() {
			defer func() { <-s.slots }()
			s.serve(ctx, claimed, token)
		})
	}
}

// acquire returns the next task. Errors are permanent; whatever may pass is tried again.
func (s *superExec) acquire(ctx context.Context) (*flwrpb.Task, string, error) {
	pause := retry.Between(retryFirst, retryMost)
	for {
		began := time.Now()
		claimed, token, err := s.api.acquire(ctx, taskTypes)
		switch {
		case ctx.Err() != nil:
			return nil, "", ctx.Err()
		case isPermanent(err):
			return nil, "", s.explain(err)
		case err != nil:
			log.Info("no answer from the Runtime API; trying again", "err", err)
			pause.Wait(ctx)
			continue
		case claimed != nil:
			return claimed, token, nil
		}
		pause.Reset()
		// A host that holds requests has already used up this time.
		retry.Sleep(ctx, pollInterval-time.Since(began))
	}
}

// explain adds what the user can do about a refusal.
func (s *superExec) explain(err error) error {
	var status *statusError
	if !errors.As(err, &status) {
		return fmt.Errorf("request to the Runtime API at %s: %w", s.cfg.RuntimeAddress, err)
	}
	switch status.status {
	case http.StatusUnauthorized:
		return fmt.Errorf("the Runtime API at %s refuses this SuperExec; do both have the same secret? %w", s.cfg.RuntimeAddress, err)
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return fmt.Errorf("whatever listens at %s is not a Runtime API of Flower: %w", s.cfg.RuntimeAddress, err)
	default:
		return fmt.Errorf("request to the Runtime API at %s: %w", s.cfg.RuntimeAddress, err)
	}
}
