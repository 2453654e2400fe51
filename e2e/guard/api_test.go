package guard

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

// api is a client of Flower's HTTP APIs that says whatever it likes.
type api struct {
	t     *testing.T
	base  string
	token string // of a task; may be empty
	wait  time.Duration
}

func newAPI(t *testing.T, base string) *api { return &api{t: t, base: base, wait: 30 * time.Second} }

// as returns the same client with a task's token.
func (a *api) as(token string) *api {
	other := *a
	other.token = token
	return &other
}

// call posts a message and, if res is not nil, decodes an answer of status 200 into it.
// Status 0 means that no answer came in time.
func (a *api) call(path string, req, res proto.Message) (status int, body []byte) {
	a.t.Helper()
	content, err := proto.Marshal(req)
	if err != nil {
		a.t.Fatal(err)
	}
	status, body = a.post(path, content)
	if status == http.StatusOK && res != nil {
		if err := proto.Unmarshal(body, res); err != nil {
			a.t.Fatalf("%s: %v", path, err)
		}
	}
	return status, body
}

func (a *api) post(path string, content []byte) (status int, body []byte) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), a.wait)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path, bytes.NewReader(content))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Content-Type", flwr.TypeProtobuf)
	if a.token != "" {
		r.Header.Set(flwr.HeaderTaskToken, a.token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		if ctx.Err() == nil {
			a.t.Fatalf("%s: %v", path, err)
		}
		return 0, nil
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if err != nil && ctx.Err() == nil {
		a.t.Fatalf("%s: %v", path, err)
	}
	return answer.StatusCode, body
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
