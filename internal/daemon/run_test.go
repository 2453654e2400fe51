package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// lasting is a part that runs until it is told to stop, and then takes a second.
func lasting(ended *time.Time) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(time.Second)
		*ended = time.Now()
		return ctx.Err()
	}
}

func TestStopGoesFromTheEdgeInward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d Daemon
		asked := make(chan chan string)
		var innerEnded, edgeEnded time.Time
		d.Part("API", func(ctx context.Context) error {
			for {
				select {
				case reply := <-asked:
					reply <- "answer"
				case <-ctx.Done():
					innerEnded = time.Now()
					return ctx.Err()
				}
			}
		})
		d.Edge("apps", func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Minute) // apps that take their time
			reply := make(chan string)
			select {
			case asked <- reply:
				<-reply
			default:
				t.Error("the API does not answer while the edge stops")
			}
			edgeEnded = time.Now()
			return nil
		})
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, stop)
		began := time.Now()
		if err := d.Run(ctx); err != nil {
			t.Errorf("a stop was reported as an error: %v", err)
		}
		if got := edgeEnded.Sub(began); got != time.Hour+time.Minute {
			t.Errorf("the edge ended after %s", got)
		}
		if innerEnded.Before(edgeEnded) {
			t.Error("the inside ended before the edge")
		}
	})
}

func TestFailureIsNamedAndStopsTheRest(t *testing.T) {
	for _, where := range []string{"edge", "inner"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d Daemon
				var innerEnded, edgeEnded time.Time
				d.Part("store", lasting(&innerEnded))
				d.Edge("SuperExec", lasting(&edgeEnded))
				add := d.Part
				if where == "edge" {
					add = d.Edge
				}
				add("clock", func(context.Context) error {
					time.Sleep(time.Minute)
					return errBroken
				})
				add("after it", func(ctx context.Context) error {
					<-ctx.Done()
					time.Sleep(time.Hour)
					return errors.New("a consequence")
				})
				err := d.Run(t.Context())
				if !errors.Is(err, errBroken) || err.Error() != "clock: broken" {
					t.Errorf("error: %v", err)
				}
				if edgeEnded.IsZero() || !innerEnded.After(edgeEnded) {
					t.Errorf("the edge ended at %s, the inside at %s", edgeEnded, innerEnded)
				}
			})
		})
	}
}

func TestPartWithNothingMoreToDoStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d Daemon
		var ended time.Time
		d.Part("done at once", func(context.Context) error { return nil })
		d.Edge("done at once too", func(context.Context) error { return nil })
		d.Part("store", lasting(&ended))
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		began := time.Now()
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
		if got := ended.Sub(began); got != time.Hour+time.Second {
			t.Errorf("the other part ended after %s", got)
		}
	})
}

// If a context ends inside a part, and not because the daemon stops, that is a failure.
func TestBrokenOffPartIsAFailure(t *testing.T) {
	var d Daemon
	d.Part("store", func(context.Context) error { return context.Canceled })
	if err := d.Run(t.Context()); err == nil || err.Error() != "store: context canceled" {
		t.Errorf("error: %v", err)
	}
}
