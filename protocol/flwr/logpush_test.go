package flwr

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

func logPush(t testing.TB, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, PathPushLogs, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", TypeProtobuf)
	return r
}

func TestLogPushKeepsItsLastLines(t *testing.T) {
	const limit = 10 * (100 + lineOverhead)
	var all []string
	for i := range 25 {
		all = append(all, fmt.Sprintf("%-99d\n", i))
	}
	long := strings.Repeat("x", limit+1)
	for name, c := range map[string]struct {
		lines, want []string
	}{
		"nothing":          {nil, nil},
		"what fits":        {all[:10], all[:10]},
		"one too many":     {all[:11], all[1:11]},
		"many":             {all, all[15:]},
		"one that is long": {[]string{"a", long, "b", ""}, []string{"b", ""}},
		"a long end":       {[]string{"a", long}, nil},
	} {
		body, err := Marshal(&flwrpb.PushLogsRequest{Node: &flwrpb.Node{NodeId: 1}, RunId: 7, Logs: c.lines})
		if err != nil {
			t.Fatal(err)
		}
		lines, dropped, err := ReadLogPush(logPush(t, body), limit)
		if err != nil || !slices.Equal(lines, c.want) || dropped != len(c.lines)-len(c.want) {
			t.Errorf("%s: %d lines, %d dropped, %v; want %d lines", name, len(lines), dropped, err, len(c.want))
		}
	}
}

// FuzzLogPush checks that malformed requests are refused, and that what is kept is within the limit.
func FuzzLogPush(f *testing.F) {
	good, err := Marshal(&flwrpb.PushLogsRequest{Node: &flwrpb.Node{NodeId: 1}, RunId: 7, Logs: []string{"a\n", strings.Repeat("b", 90)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{3<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add(bytes.Repeat([]byte{0xff}, 11))
	f.Add([]byte{3<<3 | 2, 1, 0xff})
	f.Add([]byte{9<<3 | 1, 1, 2, 3, 4, 5, 6, 7, 8, 9<<3 | 5, 1, 2, 3, 4, 9<<3 | 3})
	const limit = 100
	f.Fuzz(func(t *testing.T, body []byte) {
		lines, _, err := ReadLogPush(logPush(t, body), limit)
		size := 0
		for _, line := range lines {
			size += len(line)
		}
		if size > limit {
			t.Fatalf("%d bytes were kept", size)
		}
		if err == nil {
			return
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeInvalidProtobuf {
			t.Fatalf("%x: %v", body, err)
		}
	})
}
