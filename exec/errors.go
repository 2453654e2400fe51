package exec

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

var (
	// errUnsupported: the host does not have this route; it is a stock one.
	errUnsupported = errors.New("the Runtime API does not know this request")
	// errDeadToken: the task of the token is finished.
	errDeadToken = errors.New("the task is finished: its token is no longer valid")
	// errQuiet: a held request was silent for longer than a live host would be.
	errQuiet = errors.New("no sign of life from the Runtime API")
)

// statusError is an answer other than success.
type statusError struct {
	path   string
	status int
	text   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: %d %s: %s", e.path, e.status, http.StatusText(e.status), e.text)
}

// permanent says that asking again will not help: the request or the address is wrong.
func (e *statusError) permanent() bool {
	return e.status >= 300 && e.status < 500 && e.status != http.StatusRequestTimeout && e.status != http.StatusTooManyRequests ||
		e.status == http.StatusNotImplemented
}

// errorText returns what an error body tells people, as one line of bounded length.
func errorText(body []byte) string {
	var shape struct{ Detail, Extra string }
	if json.Unmarshal(body, &shape) != nil || shape.Detail == "" {
		return "no explanation"
	}
	if shape.Extra != "" {
		return oneLine(shape.Detail + " " + shape.Extra)
	}
	return oneLine(shape.Detail)
}

// ownRoute translates those answers to a request about a task that are not failures.
func ownRoute(err error) error {
	var status *statusError
	if !errors.As(err, &status) {
		return err
	}
	switch status.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return errUnsupported
	case http.StatusUnauthorized, http.StatusForbidden:
		return errDeadToken
	default:
		return err
	}
}

// isPermanent says that asking again will not help.
func isPermanent(err error) bool {
	var status *statusError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &status) && status.permanent() || errors.As(err, &certificate)
}
