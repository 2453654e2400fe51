package flwr_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
)

const path = "/v1/test/echo"

// echo answers with the message it was sent.
func echo(msg proto.Message, limit int64) http.Handler {
	mux := flwr.NewMux()
	mux.Handle(path, func(w http.ResponseWriter, r *http.Request) error {
		own := msg.ProtoReflect().New().Interface()
		if err := flwr.ReadRequest(r, own, limit); err != nil {
			return err
		}
		return flwr.WriteResponse(w, r, own)
	})
	return mux
}

func TestWhatPassesThroughStaysAsItIs(t *testing.T) {
	client := flwrtest.Serve(t, echo(&flwrpb.PullMessagesResponse{}, 1<<20))
	unknown := protowire.AppendTag(nil, 1000, protowire.BytesType)
	unknown = protowire.AppendString(unknown, "from the future")
	sent := &flwrpb.PullMessagesResponse{MessagesList: []*flwrpb.Message{
		{Metadata: &flwrpb.Metadata{MessageId: "a"}, Content: []byte{}},
		{Metadata: &flwrpb.Metadata{MessageId: "b"}, Error: &flwrpb.Error{Code: -7}},
	}}
	sent.MessagesList[0].ProtoReflect().SetUnknown(unknown)
	body, err := flwr.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	if got := client.PostBytes(path, body); !bytes.Equal(got.Body, body) {
		t.Errorf("got %x, sent %x", got.Body, body)
	}
}

func TestEmptyMessages(t *testing.T) {
	client := flwrtest.Serve(t, echo(&flwrpb.GetNodesRequest{}, 1<<20))
	got := client.PostBytes(path, nil)
	if got.Status != 200 || len(got.Body) != 0 || got.Header.Get("Content-Length") != "0" || got.Header.Get("Content-Type") != "application/protobuf" {
		t.Errorf("got %d %q with %v", got.Status, got.Body, got.Header)
	}
}

func TestContentType(t *testing.T) {
	client := flwrtest.Serve(t, echo(&flwrpb.GetRunRequest{}, 1<<20))
	for given, status := range map[string]int{
		"application/protobuf":                200,
		" Application/ProtoBuf ; charset=x":   200,
		"application/protobuf;":               200,
		"":                                    415,
		"application/json":                    415,
		"application/protobufs":               415,
		"text/plain; a=application/protobuf":  415,
		"application/flower-protobuf-stream":  415,
		"application/x-protobuf":              415,
		"application/protobuf, text/plain":    415,
		"application/protobuf/application":    415,
		strings.Repeat("application/", 10000): 415,
	} {
		got := client.Do("POST", path, http.NoBody, "Content-Type", given)
		if got.Status != status || status == 415 && got.Code() != int(flwr.CodeUnsupportedContentType) {
			t.Errorf("content type %.60q: got %d %s, want %d", given, got.Status, got.Body, status)
		}
	}
}

func TestBadBodies(t *testing.T) {
	client := flwrtest.Serve(t, echo(&flwrpb.ObjectTree{}, 1000))
	deep := []byte{}
	for range 200 {
		deep = protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), deep)
	}
	for name, test := range map[string]struct {
		body         []byte
		status, code int
	}{
		"truncated":         {[]byte{0x0a, 5, 'a'}, 400, 1003},
		"random":            {[]byte("\xff\xff\xff\xffnot protobuf"), 400, 1003},
		"nested too deeply": {deep, 400, 1003},
		"not UTF-8":         {[]byte{0x0a, 1, 0xff}, 400, 1003},
		"too large":         {make([]byte, 1001), 413, 0},
	} {
		if got := client.PostBytes(path, test.body); got.Status != test.status || got.Code() != test.code {
			t.Errorf("%s: got %d %s, want %d code %d", name, got.Status, got.Body, test.status, test.code)
		}
	}
	// The length is unknown in advance, so only reading shows it.
	got := client.Do("POST", path, io.MultiReader(strings.NewReader("\x0a\x90\x4e"), bytes.NewReader(make([]byte, 10000))), "Content-Type", "application/protobuf")
	if got.Status != 413 {
		t.Errorf("a chunked body over the limit got %d %s", got.Status, got.Body)
	}
}

func TestCompression(t *testing.T) {
	client := flwrtest.Serve(t, echo(&flwrpb.ObjectIDs{}, 1<<20))
	large := &flwrpb.ObjectIDs{ObjectIds: []string{strings.Repeat("0123456789abcdef", 1000)}}
	for accept, want := range map[string]string{
		"gzip, deflate": "gzip", "deflate, GZIP;q=0.5": "gzip", "": "", "deflate": "", "gzip;q=0": "", "gzip; q=0.0, br": "", "xgzip": "",
	} {
		got := client.Post(path, large, "Accept-Encoding", accept)
		if got.Header.Get("Content-Encoding") != want {
			t.Errorf("accepts %q: encoding is %q", accept, got.Header.Get("Content-Encoding"))
			continue
		}
		if got.Header.Get("Content-Length") != strconv.Itoa(len(got.Body)) {
			t.Errorf("accepts %q: content length is %q of %d", accept, got.Header.Get("Content-Length"), len(got.Body))
		}
		if want == "gzip" {
			plain, err := gzip.NewReader(bytes.NewReader(got.Body))
			if err != nil {
				t.Fatal(err)
			}
			if got.Body, err = io.ReadAll(plain); err != nil {
				t.Fatal(err)
			}
		}
		back := &flwrpb.ObjectIDs{}
		got.Into(t, back)
		if !proto.Equal(back, large) {
			t.Errorf("accepts %q: another message came back", accept)
		}
	}
	small := client.Post(path, &flwrpb.ObjectIDs{ObjectIds: []string{"a"}}, "Accept-Encoding", "gzip")
	if encoding := small.Header.Get("Content-Encoding"); encoding != "" {
		t.Errorf("a small answer has encoding %q", encoding)
	}
}

// slowBody gives one byte per pause, and nothing more once last bytes have been given.
type slowBody struct {
	pause time.Duration
	bytes int
	done  <-chan struct{}
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.bytes == 0 {
		<-b.done
		return 0, io.ErrUnexpectedEOF
	}
	time.Sleep(b.pause)
	b.bytes--
	p[0] = 0
	return 1, nil
}

func TestSilentSendersAreCutOffAndSlowOnesAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outcome := make(chan error, 1)
		mux := flwr.NewMux()
		mux.Handle(path, func(_ http.ResponseWriter, r *http.Request) error {
			_, err := io.Copy(io.Discard, r.Body)
			outcome <- err
			return flwr.Plain(200, "read")
		})
		client := flwrtest.Serve(t, mux)
		done := make(chan struct{})
		defer close(done)
		send := func(length int64, body io.Reader) (time.Duration, error) {
			start := time.Now()
			go func() {
				conn := client.Raw()
				defer conn.Close()
				_, _ = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: "+strconv.FormatInt(length, 10)+"\r\n\r\n")
				_, _ = io.Copy(conn, body)
				<-done
			}()
			err := <-outcome
			return time.Since(start), err
		}
		if took, err := send(10, &slowBody{50 * time.Second, 10, done}); err != nil || took < 8*time.Minute {
			t.Errorf("a slow sender was cut off after %s: %v", took, err)
		}
		if took, err := send(10, &slowBody{time.Second, 5, done}); err == nil || took != 5*time.Second+flwr.IdleLimit {
			t.Errorf("a silent sender was served for %s: %v", took, err)
		}
	})
}

// A list of empty elements takes two bytes each on the wire, and is counted there.
func TestFieldsAreCountedBeforeTheyAreDecoded(t *testing.T) {
	request := func(fields int) []byte { return bytes.Repeat([]byte{0x12, 0}, fields) } // message_ids
	req := &flwrpb.PullAppMessagesRequest{}
	if err := flwr.Decode(request(flwr.MaxFields), req); err != nil || len(req.GetMessageIds()) != flwr.MaxFields {
		t.Errorf("%d ids: %v", len(req.GetMessageIds()), err)
	}
	body := request(16 << 20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := flwr.Decode(body, &flwrpb.PullAppMessagesRequest{})
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("sixteen million ids were decoded")
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("the refusal took %d bytes", took)
	}
}
