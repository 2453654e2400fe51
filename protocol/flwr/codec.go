package flwr

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Marshal encodes a message in the one way used here: deterministically, as Flower's clients do.
func Marshal(msg proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(msg)
}

// Unmarshal decodes what a stranger sent. Unknown fields are kept.
func Unmarshal(data []byte, msg proto.Message) error {
	return proto.UnmarshalOptions{RecursionLimit: maxDepth}.Unmarshal(data, msg)
}

// CheckContentType refuses requests that are not protobuf. Code 1002.
func CheckContentType(r *http.Request) error {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(media), TypeProtobuf) {
		return NewError(CodeUnsupportedContentType)
	}
	return nil
}

// ReadRequest reads the message of a request, at most limit bytes long. Codes 1002 and 1003,
// status 413.
func ReadRequest(r *http.Request, msg proto.Message, limit int64) error {
	if err := CheckContentType(r); err != nil {
		return err
	}
	body, err := ReadBody(r, limit)
	if err != nil {
		return err
	}
	return Decode(body, msg)
}

// Decode decodes a request body of at most [MaxFields] fields. Code 1003.
func Decode(body []byte, msg proto.Message) error {
	if err := countFields(body); err != nil {
		return NewError(CodeInvalidProtobuf).WithCause(err)
	}
	if err := Unmarshal(body, msg); err != nil {
		return NewError(CodeInvalidProtobuf).WithCause(err)
	}
	return nil
}

// ReadBody reads a whole request body, at most limit bytes long. Status 413.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, firstBuffer)) + bytes.MinRead)
	}
	n, err := body.ReadFrom(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	if n > limit {
		return nil, tooLarge(limit)
	}
	return body.Bytes(), nil
}

// countFields counts the fields of a body before there is an element in memory for each of
// them. It leaves whatever is not protobuf to the decoder.
func countFields(body []byte) error {
	for count := 0; len(body) > 0; count++ {
		if count == MaxFields {
			return fmt.Errorf("it has more than %d fields", MaxFields)
		}
		_, _, n := protowire.ConsumeField(body)
		if n < 0 {
			return nil
		}
		body = body[n:]
	}
	return nil
}

func tooLarge(limit int64) *Error {
	return Plain(http.StatusRequestEntityTooLarge, fmt.Sprintf("The request is larger than %d bytes.", limit))
}

// WriteResponse answers with msg, compressed if the client accepts that and it is worthwhile.
// A failed write means that the client has left, and is not an error.
func WriteResponse(w http.ResponseWriter, r *http.Request, msg proto.Message) error {
	body, err := Marshal(msg)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	header := w.Header()
	header.Set("Content-Type", TypeProtobuf)
	if worthCompressing(r, len(body)) {
		if body, err = compress(body); err != nil {
			return fmt.Errorf("compress answer: %w", err)
		}
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if err := copyAll(w, bytes.NewReader(body), int64(len(body))); err != nil {
		log.Debug("the client left before its answer", "path", r.URL.Path, "err", err)
	}
	return nil
}

// errShort: a content had fewer bytes than announced.
var errShort = errors.New("content ends early")
