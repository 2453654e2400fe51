package control_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// stream opens the logs of a run. next returns the text of a frame, or io.EOF.
func (l *link) stream(req *flwrpb.StreamLogsRequest) (next func() (*flwrpb.StreamLogsResponse, error)) {
	l.t.Helper()
	body, err := proto.Marshal(req)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute) // a test that hangs fails
	l.t.Cleanup(cancel)
	res := l.Open(ctx, "POST", flwr.PathStreamLogs, bytes.NewReader(body), "Content-Type", flwr.TypeProtobuf)
	l.t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		l.t.Fatalf("the request for logs was answered with %d", res.StatusCode)
	}
	return func() (*flwrpb.StreamLogsResponse, error) {
		var head [4]byte
		if _, err := io.ReadFull(res.Body, head[:]); err != nil {
			return nil, err
		}
		frame := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(res.Body, frame); err != nil {
			return nil, err
		}
		msg := &flwrpb.StreamLogsResponse{}
		return msg, proto.Unmarshal(frame, msg)
	}
}

func (l *link) log(runID uint64, lines ...string) {
	l.t.Helper()
	if err := l.store.AppendLogs(l.t.Context(), runID, time.Now(), lines); err != nil {
		l.t.Fatal(err)
	}
}

func TestLogsAreOneFrameFirstAndThenAsTheyCome(t *testing.T) {
	l := newLink(t)
	run := l.start()
	started := l.begin(run)
	l.log(run, "one\n", "two\n")
	l.log(run, "three\n")
	next := l.stream(&flwrpb.StreamLogsRequest{RunId: run})
	want := func(text string) {
		t.Helper()
		got, err := next()
		if err != nil || got.GetLogOutput() != text {
			t.Fatalf("got %q, %v, want %q", got.GetLogOutput(), err, text)
		}
		if age := float64(time.Now().Unix()) - got.GetLatestTimestamp(); age < -5 || age > 60 {
			t.Errorf("the text is said to be %f s old", age)
		}
	}
	want("one\ntwo\nthree\n")
	l.log(run, "four\n")
	want("four\n")
	l.log(run, "last words\n")
	if err := l.store.FinishTaskWithContext(t.Context(), started.ID, task.Completed, "", nil, 0); err != nil {
		t.Fatal(err)
	}
	want("last words\n")
	if got, err := next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end came %v, %v", got, err)
	}
}

func TestLogsOfAFinishedRun(t *testing.T) {
	l := newLink(t)
	quiet, loud := l.start(), l.start()
	l.log(loud, "text\n")
	for _, run := range []uint64{quiet, loud} {
		if err := l.store.FinishRun(t.Context(), run, task.Failed, ""); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := l.stream(&flwrpb.StreamLogsRequest{RunId: quiet})(); !errors.Is(err, io.EOF) {
		t.Errorf("a run without logs gave %v, %v", got, err)
	}
	next := l.stream(&flwrpb.StreamLogsRequest{RunId: loud})
	got, err := next()
	if err != nil || got.GetLogOutput() != "text\n" {
		t.Fatalf("got %v, %v", got, err)
	}
	if _, err := next(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	if again, err := l.stream(&flwrpb.StreamLogsRequest{RunId: loud, AfterTimestamp: got.GetLatestTimestamp()})(); !errors.Is(err, io.EOF) {
		t.Errorf("a client that had everything got %v, %v", again, err)
	}
}

func TestALogStreamThatIsStoppedIsCut(t *testing.T) {
	l := newLink(t)
	run := l.start()
	next := l.stream(&flwrpb.StreamLogsRequest{RunId: run})
	l.Stop()
	if _, err := next(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the client took the stream for complete: %v", err)
	}
}

func TestLogsOfAnUnknownRun(t *testing.T) {
	newLink(t).refused("unknown run", flwr.PathStreamLogs, &flwrpb.StreamLogsRequest{RunId: 5}, 404, flwr.CodeRunIDNotFound)
}
