package runtimeapi_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// mortal is a host whose only token dies with its task, as tokens do.
type mortal struct {
	*scripted
	ended bool
}

func (m *mortal) Authenticate(ctx context.Context, token string) (task.Task, error) {
	if m.ended {
		return task.Task{}, task.ErrUnknownToken
	}
	return m.scripted.Authenticate(ctx, token)
}

func (m *mortal) PushTaskOutput(ctx context.Context, t task.Task, req *flwrpb.PushTaskOutputRequest) error {
	err := m.scripted.PushTaskOutput(ctx, t, req)
	m.ended = err == nil
	return err
}

func TestLastWordsOfAnAppAreTakenForAShortWhile(t *testing.T) {
	for takes, want := range map[bool]int{true: 200, false: 401} {
		synctest.Test(t, func(t *testing.T) {
			host := &mortal{scripted: newScripted()}
			client := flwrtest.Serve(t, runtimeapi.NewHandler(host, runtimeapi.Options{TakeLastWords: takes}))
			status := func(path, token string) int {
				return client.Post(path, routes[path].send, flwr.HeaderTaskToken, token).Status
			}
			if got := status(flwr.PathPushTaskOutput, goodToken); got != 200 {
				t.Fatalf("push-task-output: %d", got)
			}
			if got := status(flwr.PathPushLogs, goodToken); got != want {
				t.Errorf("push-logs right after the end, accepted %t: %d, want %d", takes, got, want)
			}
			for path := range routes {
				if got := status(path, goodToken); path != flwr.PathPushLogs && got != 401 {
					t.Errorf("%s after the end: %d", path, got)
				}
			}
			if got := status(flwr.PathPushLogs, "foreign"); got != 401 {
				t.Errorf("push-logs with a foreign token: %d", got)
			}
			time.Sleep(time.Minute)
			if got := status(flwr.PathPushLogs, goodToken); got != 401 {
				t.Errorf("push-logs a minute after the end: %d", got)
			}
		})
	}
}

func TestTaskThatAnotherEndedHasNoLastWords(t *testing.T) {
	host := &mortal{scripted: newScripted()}
	client := flwrtest.Serve(t, runtimeapi.NewHandler(host, runtimeapi.Options{TakeLastWords: true}))
	host.ended = true // its run was stopped
	if got := client.Post(flwr.PathPushLogs, routes[flwr.PathPushLogs].send, flwr.HeaderTaskToken, goodToken); got.Status != 401 {
		t.Errorf("push-logs: %d", got.Status)
	}
}
