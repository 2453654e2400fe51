package flwr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/libp2p/go-libp2p/gologshim"
)

var log = gologshim.Logger("protocol/flwr")

// Error is an answer other than success. It is all that a client is told: the cause stays on
// this side, in the log.
type Error struct {
	Status int
	// Code is from the catalogue, or 0 for an answer that has only a detail.
	Code Code
	// Detail is the catalogue's text.
	Detail string
	// Extra is what else the client should know; the flwr command prints it.
	Extra string

	header [2]string // one header of the answer, name and value
	cause  error
}

// NewError makes the error of a code.
func NewError(code Code) *Error {
	known, ok := catalogue[code]
	if !ok {
		panic("flwr: code " + strconv.Itoa(int(code)) + " is not in the catalogue")
	}
	e := &Error{Status: known.status, Code: code, Detail: known.detail}
	if code == CodeAccountAuthenticationFailed {
		e.header = bearerChallenge()
	}
	return e
}

// Plain makes an error without a code, like those of any web server.
func Plain(status int, detail string) *Error { return &Error{Status: status, Detail: detail} }

// NotAuthenticated refuses the credentials of a Control API request.
func NotAuthenticated() *Error {
	return &Error{Status: http.StatusUnauthorized, Detail: "Not authenticated", header: bearerChallenge()}
}

func bearerChallenge() [2]string { return [2]string{"WWW-Authenticate", "Bearer"} }

// WithExtra adds something that the client should know, and returns e itself.
func (e *Error) WithExtra(extra string) *Error {
	e.Extra = extra
	return e
}

// WithCause adds the reason, which goes only to the log, and returns e itself.
func (e *Error) WithCause(cause error) *Error {
	e.cause = cause
	return e
}

// Error describes the answer and its cause, for logs.
func (e *Error) Error() string {
	text := strconv.Itoa(e.Status)
	if e.Code != 0 {
		text += fmt.Sprintf(" [code: %d]", e.Code)
	}
	text += " " + e.Detail
	if e.Extra != "" {
		text += " " + e.Extra
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// transient is the answer to everything that is not an Error: the fault is on this side and
// may pass.
func transient() *Error {
	return Plain(http.StatusServiceUnavailable, "The service is temporarily unavailable; try again.")
}

// WriteError answers with err: an *Error as it is, anything else as 503 so that the client
// tries again. It logs what the client is not told. The answer must not have begun yet.
func WriteError(w http.ResponseWriter, err error) {
	writeError(w, "", err)
}

func writeError(w http.ResponseWriter, path string, err error) {
	var answer *Error
	switch {
	case errors.As(err, &answer):
		log.Debug("request refused", "path", path, "err", err)
	case errors.Is(err, context.Canceled):
		// The client has left, or the server is stopping.
		log.Debug("request abandoned", "path", path, "err", err)
		answer = transient()
	default:
		log.Warn("request failed; the client is asked to try again", "path", path, "err", err)
		answer = transient()
	}
	body := answer.body()
	header := w.Header()
	header.Set("Content-Type", TypeJSON)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if answer.header[0] != "" {
		header.Set(answer.header[0], answer.header[1])
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(body) // the client has left
}

// body is the JSON of the answer, without spaces and without escapes that JSON does not need.
func (e *Error) body() []byte {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(struct { // cannot fail
		Code   Code   `json:"code,omitempty"`
		Detail string `json:"detail"`
		Extra  string `json:"extra,omitempty"`
	}{e.Code, e.Detail, e.Extra})
	return bytes.TrimSuffix(body.Bytes(), []byte("\n"))
}
