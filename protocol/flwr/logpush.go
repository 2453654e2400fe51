package flwr

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// fieldPushLogs is the field number of PushLogsRequest.logs.
const fieldPushLogs = 3

// ReadLogPush reads a push-logs request of any length and keeps its last lines, up to limit
// bytes of them; dropped is the number of lines before those. Flower's clients send all that an
// app has printed since their last request, and stop sending once a request has been refused.
// Codes 1002 and 1003.
func ReadLogPush(r *http.Request, limit int) (lines []string, dropped int, err error) {
	if err := CheckContentType(r); err != nil {
		return nil, 0, err
	}
	p := logReader{body: bufio.NewReader(r.Body), limit: limit}
	for {
		switch err := p.readField(); {
		case errors.Is(err, io.EOF):
			return p.lines, p.dropped, nil
		case err != nil:
			return nil, 0, err
		}
	}
}

// logReader takes a PushLogsRequest apart as it comes.
type logReader struct {
	body    *bufio.Reader
	limit   int
	lines   []string
	size    int // of lines
	dropped int
}

// readField keeps a line and skips any other field. It returns io.EOF at the end of the body.
func (p *logReader) readField() error {
	tag, err := readVarint(p.body)
	if err != nil {
		return err
	}
	number, kind := protowire.DecodeTag(tag)
	switch kind {
	case protowire.VarintType:
		_, err := readVarint(p.body)
		return orNoEnd(err)
	case protowire.Fixed32Type:
		return p.skip(4)
	case protowire.Fixed64Type:
		return p.skip(8)
	case protowire.BytesType:
		size, err := readVarint(p.body)
		if err != nil {
			return noEnd(err)
		}
		if number == fieldPushLogs {
			return p.readLine(size)
		}
		return p.skip(size)
	default: // groups, which no version of the message has
		return invalid(fmt.Errorf("field %d has wire type %d", number, kind))
	}
}

func (p *logReader) readLine(size uint64) error {
	if size > uint64(p.limit) {
		p.dropped += len(p.lines) + 1
		p.lines, p.size = nil, 0
		return p.skip(size)
	}
	line := make([]byte, size)
	if _, err := io.ReadFull(p.body, line); err != nil {
		return noEnd(err)
	}
	if !utf8.Valid(line) {
		return invalid(errors.New("a line is not UTF-8"))
	}
	p.lines = append(p.lines, string(line))
	for p.size += lineSize(line); p.size > p.limit; p.dropped++ {
		p.size -= lineSize(p.lines[0])
		p.lines[0] = "" // the array may outlive the slice
		p.lines = p.lines[1:]
	}
	return nil
}

// lineSize also counts what an empty line takes.
func lineSize[T string | []byte](line T) int { return len(line) + lineOverhead }

func (p *logReader) skip(size uint64) error {
	if size > math.MaxInt64 {
		return invalid(errors.New("a field is too long"))
	}
	_, err := io.CopyN(io.Discard, p.body, int64(size))
	return orNoEnd(err)
}

func orNoEnd(err error) error {
	if err == nil {
		return nil
	}
	return noEnd(err)
}
