package retry_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/internal/retry"
)

// counter is a slog.Handler that counts the records it gets.
type counter int

func (c *counter) Enabled(context.Context, slog.Level) bool  { return true }
func (c *counter) Handle(context.Context, slog.Record) error { *c++; return nil }
func (c *counter) WithAttrs([]slog.Attr) slog.Handler        { return c }
func (c *counter) WithGroup(string) slog.Handler             { return c }

func TestTriesUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told counter
		tries := 0
		err := retry.Do(t.Context(), slog.New(&told), "write", func() error {
			if tries++; tries < 20 {
				return errors.New("disk full")
			}
			return nil
		})
		if err != nil || tries != 20 || told != 19 {
			t.Fatalf("%v after %d tries, %d failures told; want success at the 20th", err, tries, told)
		}
	})
}

func TestEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := retry.Do(ctx, slog.New(new(counter)), "write", func() error { return errors.New("disk full") })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Fatalf("%v after %s, want the context's end after a minute", err, time.Since(began))
		}
	})
}
