package flwr_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
)

func serveContent(write func(w http.ResponseWriter) error) http.Handler {
	mux := flwr.NewMux()
	mux.Handle(path, func(w http.ResponseWriter, _ *http.Request) error { return write(w) })
	return mux
}

func TestObjectsAreWrittenAsMessages(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 511, 512, 1 << 20, 9<<20 + 1} {
		content := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		client := flwrtest.Serve(t, serveContent(func(w http.ResponseWriter) error {
			return flwr.WriteObject(w, bytes.NewReader(content), int64(size))
		}))
		got := &flwrpb.PullObjectResponse{}
		client.PostBytes(path, nil).Into(t, got)
		if !got.ObjectFound || !got.ObjectAvailable || !bytes.Equal(got.ObjectContent, content) {
			t.Errorf("an object of %d bytes came as one of %d", size, len(got.ObjectContent))
		}
	}
}

// TestObjectsFromFiles goes over TCP, where the operating system copies from file to socket.
func TestObjectsFromFiles(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	name := filepath.Join(t.TempDir(), "object")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(serveContent(func(w http.ResponseWriter) error {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		return flwr.WriteObject(w, struct{ *os.File }{file}, int64(len(content)))
	}))
	defer server.Close()
	for range 2 { // the second over the same connection
		res, err := http.Post(server.URL+path, flwr.TypeProtobuf, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		got := &flwrpb.PullObjectResponse{}
		if err := proto.Unmarshal(body, got); err != nil || !bytes.Equal(got.ObjectContent, content) {
			t.Fatalf("the object came as one of %d bytes: %v", len(got.ObjectContent), err)
		}
	}
}

func TestFABsAreWrittenAsMessages(t *testing.T) {
	want := &flwrpb.Fab{HashStr: "hash", Content: bytes.Repeat([]byte("fab"), 1000), Verifications: map[string]string{"k": "v"}}
	client := flwrtest.Serve(t, serveContent(func(w http.ResponseWriter) error {
		return flwr.WriteFAB(w, &flwrpb.Fab{HashStr: want.HashStr, Verifications: want.Verifications}, bytes.NewReader(want.Content), int64(len(want.Content)))
	}))
	got := &flwrpb.GetFabResponse{}
	client.PostBytes(path, nil).Into(t, got)
	if !proto.Equal(got.GetFab(), want) {
		t.Errorf("got %v", got)
	}
}

func TestContentThatFailsCutsTheAnswer(t *testing.T) {
	client := flwrtest.Serve(t, serveContent(func(w http.ResponseWriter) error {
		return flwr.WriteObject(w, bytes.NewReader(make([]byte, 10_000)), 20_000)
	}))
	if got := client.PostBytes(path, nil); got.Err == nil {
		t.Errorf("the client took %d bytes for the whole object", len(got.Body))
	}
}

func TestReceiversThatStandStillAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Duration, 1)
		client := flwrtest.Serve(t, serveContent(func(w http.ResponseWriter) error {
			start := time.Now()
			defer func() { ended <- time.Since(start) }()
			return flwr.WriteObject(w, bytes.NewReader(make([]byte, 20<<20)), 20<<20)
		}))
		conn := client.Raw()
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, conn, 5<<20); err != nil {
			t.Fatal(err)
		}
		if after := <-ended; after != flwr.IdleLimit {
			t.Errorf("the server waited for the receiver for %s, want %s", after, flwr.IdleLimit)
		}
	})
}

func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := flwrtest.Serve(t, serveContent(func(w http.ResponseWriter) error {
			frames, err := flwr.NewFrameWriter(w)
			if err != nil {
				return err
			}
			for _, text := range []string{"first", "", "third"} {
				time.Sleep(2 * time.Minute) // far beyond any time-out
				if err := frames.Write(&flwrpb.StreamLogsResponse{LogOutput: text}); err != nil {
					t.Error(err)
				}
			}
			return nil
		}))
		start := time.Now()
		res := client.Open(t.Context(), "POST", path, nil)
		defer res.Body.Close()
		if waited := time.Since(start); waited != 0 || res.Header.Get("Content-Type") != flwr.TypeStream {
			t.Errorf("the head came after %s with type %q", waited, res.Header.Get("Content-Type"))
		}
		for i, want := range []string{"\x00\x00\x00\x07\x0a\x05first", "\x00\x00\x00\x00", "\x00\x00\x00\x07\x0a\x05third"} {
			frame := make([]byte, len(want))
			if _, err := io.ReadFull(res.Body, frame); err != nil || string(frame) != want {
				t.Fatalf("frame %d is %q, %v", i, frame, err)
			}
			if at := time.Since(start); at != time.Duration(i+1)*2*time.Minute {
				t.Errorf("frame %d came after %s", i, at)
			}
		}
		if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 0 {
			t.Errorf("the stream ends with %q, %v", rest, err)
		}
	})
}
