package flwr_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
)

// held answers after a while, or fails after it.
func held(after time.Duration, failure error) http.Handler {
	mux := flwr.NewMux()
	mux.Handle(path, func(w http.ResponseWriter, r *http.Request) error {
		err := flwr.Hold(w, r, func(ctx context.Context) error {
			select {
			case <-time.After(after):
				return failure
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil {
			return err
		}
		return flwr.WriteResponse(w, r, &flwrpb.PushObjectResponse{Stored: true})
	})
	return mux
}

func TestHeldRequestsAreKeptAlive(t *testing.T) {
	for _, test := range []struct {
		after   time.Duration
		failure error
		interim int32
		status  int
	}{
		{9 * time.Second, nil, 0, 200},
		{35 * time.Second, nil, 3, 200},
		{65*time.Minute + 5*time.Second, nil, 390, 200},
		{25 * time.Second, flwr.NewError(flwr.CodeFABNotFound), 2, 404},
		{25 * time.Second, errors.New("disk"), 2, 503},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := flwrtest.Serve(t, held(test.after, test.failure))
			start := time.Now()
			got := client.PostBytes(path, nil)
			if got.Status != test.status || client.Interim.Load() != test.interim || time.Since(start) != test.after {
				t.Errorf("held for %s: got %d after %s with %d interim responses, want %d with %d",
					test.after, got.Status, time.Since(start), client.Interim.Load(), test.status, test.interim)
			}
		})
	}
}

func TestHoldEndsWhenTheClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := make(chan error, 1)
		mux := flwr.NewMux()
		mux.Handle(path, func(w http.ResponseWriter, r *http.Request) error {
			if _, err := io.ReadAll(r.Body); err != nil {
				return err
			}
			err := flwr.Hold(w, r, func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			})
			left <- err
			return err
		})
		client := flwrtest.Serve(t, mux)
		conn := client.Raw()
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		if _, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Second) // virtual
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the hold ended with %v", err)
		}
	})
}

func TestOldClientsGetNoInterimResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := flwrtest.Serve(t, held(25*time.Second, nil))
		conn := client.Raw()
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST "+path+" HTTP/1.0\r\nContent-Length: 0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || len(answer) < 15 || string(answer[:15]) != "HTTP/1.0 200 OK" {
			t.Errorf("got %q, %v", answer, err)
		}
	})
}
