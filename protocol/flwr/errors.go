package flwr

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	logging "github.com/ipfs/go-log/v2"
)

var log = logging.Logger("protocol/flwr")

// Error is an answer that is not 200. Clients act on the status: 401 ends an app, 403 ends
// its task, 502 to 504 are tried again, anything else goes to the caller (facts 1.5).
type Error struct {
	Status int
	Code   Code // 0: an error without a code, see [Plain]
	Detail string
	Extra  string // what is wrong with this request, shown to the user
}

// NewError gives an error of the catalogue. It panics for a code that is not in it: codes
// are constants.
func NewError(code Code) *Error {
	e, ok := catalogue[code]
	if !ok {
		panic(fmt.Sprintf("no error has code %d", code))
	}
	return &Error{Status: e.status, Code: code, Detail: e.detail}
}

// WithExtra gives a copy with details.
func (e *Error) WithExtra(extra string) *Error {
	copied := *e
	copied.Extra = extra
	return &copied
}

// Plain is an error without a code, such as 404 for a route that does not exist.
func Plain(status int, detail string) *Error { return &Error{Status: status, Detail: detail} }

func (e *Error) Error() string {
	text := e.Detail
	if e.Code != 0 {
		text = fmt.Sprintf("[code: %d] %s", e.Code, text)
	}
	if e.Extra != "" {
		text += " " + e.Extra
	}
	return text
}

type errorBody struct {
	Code   Code   `json:"code,omitempty"`
	Detail string `json:"detail"`
	Extra  string `json:"extra,omitempty"`
}

// WriteError answers a request that failed. What is not an *Error is ours alone: it is
// logged, and answered as 503, upon which clients try again.
func WriteError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		log.Warnf("answered as temporary: %v", err)
		e = Plain(http.StatusServiceUnavailable, "Temporarily unavailable.")
	}
	body, err := json.Marshal(errorBody{Code: e.Code, Detail: e.Detail, Extra: e.Extra})
	if err != nil {
		panic(err) // three strings and a number
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if e.Code == CodeBearerFailed {
		header.Set("WWW-Authenticate", "Bearer")
	}
	if e.Status == http.StatusMethodNotAllowed {
		header.Set("Allow", http.MethodPost)
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(body) // the client left; nobody is there to be told
}

// NotFound answers for a route that does not exist.
func NotFound(w http.ResponseWriter, _ *http.Request) {
	WriteError(w, Plain(http.StatusNotFound, "Not Found"))
}

// MethodNotAllowed answers for a route that takes POST only.
func MethodNotAllowed(w http.ResponseWriter, _ *http.Request) {
	WriteError(w, Plain(http.StatusMethodNotAllowed, "Method Not Allowed"))
}
