package flwr

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/proto"
)

// CheckContentType refuses a request whose body is not protobuf (415, code 1002).
func CheckContentType(r *http.Request) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !strings.EqualFold(media, ContentType) {
		return NewError(CodeUnsupportedContentType)
	}
	return nil
}

// ReadRequest reads the one message that a request body is, of at most limit bytes. The
// error is an *Error: 415 code 1002, 400 code 1003, or 413.
func ReadRequest(r *http.Request, msg proto.Message, limit int64) error {
	body, err := ReadBody(r, limit)
	if err != nil {
		return err
	}
	return Unmarshal(body, msg)
}

// ReadBody reads a request body of at most limit bytes, for those who must hash it.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	if err := CheckContentType(r); err != nil {
		return nil, err
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var body []byte
	var err error
	if r.ContentLength >= 0 {
		// ReadAll would grow its buffer to the size that is known.
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
	}
	if err != nil {
		return nil, NewError(CodeInvalidPayload).WithExtra("The body ends early.")
	}
	if int64(len(body)) > limit {
		return nil, tooLarge(limit)
	}
	return body, nil
}

// Unmarshal parses a message that came over the wire; the error is 400 code 1003.
func Unmarshal(body []byte, msg proto.Message) error {
	if err := proto.Unmarshal(body, msg); err != nil {
		return NewError(CodeInvalidPayload)
	}
	return nil
}

func tooLarge(limit int64) error {
	return Plain(http.StatusRequestEntityTooLarge, fmt.Sprintf("The body is larger than %d bytes.", limit))
}

// Marshal serializes as Flower's own clients do: the same message is always the same bytes.
func Marshal(msg proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(msg)
}

// WriteResponse answers with a message, compressed if it is large and the client takes it.
func WriteResponse(w http.ResponseWriter, r *http.Request, msg proto.Message) {
	body, err := Marshal(msg)
	if err != nil {
		WriteError(w, fmt.Errorf("serialize the response: %w", err))
		return
	}
	header := w.Header()
	header.Set("Content-Type", ContentType)
	if len(body) < MinGzip || !acceptsGzip(r) {
		header.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // an error means that the client left
		return
	}
	header.Set("Content-Encoding", "gzip")
	compressed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = compressed.Write(body)
	_ = compressed.Close()
}

func acceptsGzip(r *http.Request) bool {
	for _, offered := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(offered), ";")
		if strings.EqualFold(name, "gzip") {
			return true
		}
	}
	return false
}

// IsClientGone says that an error is only about a client that left.
func IsClientGone(r *http.Request, err error) bool {
	return err != nil && r.Context().Err() != nil && errors.Is(err, r.Context().Err())
}
