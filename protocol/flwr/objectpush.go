package flwr

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// Fields of PushObjectRequest and PullObjectResponse that are read and written by hand,
// since their contents must not be held in memory.
const (
	fieldPushContent = 4

	fieldPullFound     = 1
	fieldPullAvailable = 2
	fieldPullContent   = 3
)

// ObjectPush is a push-object request whose content has not been read yet.
type ObjectPush struct {
	// Head has all fields except the content. On the wire its session id comes after the
	// content, so it is set only after Finish.
	Head *flwrpb.PushObjectRequest
	// Size is the length of the content in bytes, as its sender states it.
	Size int64
	// Content yields exactly Size bytes and then io.EOF, or an error of code 1003 if the
	// request turns out not to be a PushObjectRequest.
	Content io.Reader
}

// Finish reads the rest of the request. It returns an error of code 1003 if that is malformed,
// which a reader of the content may not have got far enough to see.
func (p *ObjectPush) Finish() error {
	_, err := io.Copy(io.Discard, p.Content)
	return err
}

// ReadObjectPush reads the head of a push-object request with at most limit bytes of content.
// The fields must come in the order of their numbers, as every protobuf serializer writes
// them. Codes 1002 and 1003, status 413.
func ReadObjectPush(r *http.Request, limit int64) (*ObjectPush, error) {
	if err := CheckContentType(r); err != nil {
		return nil, err
	}
	p := &pushReader{body: bufio.NewReader(r.Body), head: &flwrpb.PushObjectRequest{}}
	if err := p.readUntilContent(); err != nil {
		return nil, err
	}
	if p.left > limit {
		return nil, tooLarge(limit)
	}
	if r.ContentLength >= 0 && p.left > r.ContentLength {
		return nil, invalid(errors.New("the content claims to be longer than the request"))
	}
	return &ObjectPush{Head: p.head, Size: p.left, Content: p}, nil
}

// pushReader takes a PushObjectRequest apart as it arrives:
//
//	fields before the content ──► content ──► fields after it ──► end of body
//	                         Read ─┴───────────────┘
type pushReader struct {
	body *bufio.Reader
	head *flwrpb.PushObjectRequest
	left int64 // of the content
	read int   // bytes of fields besides the content
	err  error // io.EOF after the last field
}

// Read yields content; when asked for more than that, it reads the fields after it.
func (p *pushReader) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	if p.left == 0 {
		p.err = p.readRest()
		return 0, p.err
	}
	n, err := p.body.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF) && p.left > 0:
		p.err = invalid(io.ErrUnexpectedEOF)
	case err != nil && !errors.Is(err, io.EOF):
		p.err = fmt.Errorf("read object: %w", err)
	}
	return n, p.err
}

// readUntilContent reads fields until the content begins or the request ends.
func (p *pushReader) readUntilContent() error {
	for {
		content, err := p.readField()
		switch {
		case errors.Is(err, io.EOF): // an empty content is not on the wire
			return nil
		case err != nil:
			return err
		case content:
			return nil
		}
	}
}

// readRest reads the fields after the content. It returns io.EOF for a good end: one that
// does not change what the content was taken for.
func (p *pushReader) readRest() error {
	node, run, id := p.head.GetNode().GetNodeId(), p.head.GetRunId(), p.head.GetObjectId()
	for {
		content, err := p.readField()
		switch {
		case errors.Is(err, io.EOF):
			if p.head.GetNode().GetNodeId() != node || p.head.GetRunId() != run || p.head.GetObjectId() != id {
				return invalid(errors.New("the content comes before the fields that say whose it is"))
			}
			return io.EOF
		case err != nil:
			return err
		case content:
			return invalid(errors.New("there are two contents"))
		}
	}
}

// readField reads one field into the head; of the content it reads only the length, into left.
// It returns io.EOF at the end of the body.
func (p *pushReader) readField() (content bool, err error) {
	tag, err := readVarint(p.body)
	if err != nil {
		return false, err
	}
	number, kind := protowire.DecodeTag(tag)
	if number < protowire.MinValidNumber || number > protowire.MaxValidNumber {
		return false, invalid(fmt.Errorf("field number %d", number))
	}
	field := protowire.AppendTag(nil, number, kind)
	var size uint64
	switch kind {
	case protowire.VarintType:
		value, err := readVarint(p.body)
		if err != nil {
			return false, noEnd(err)
		}
		return false, p.merge(protowire.AppendVarint(field, value))
	case protowire.Fixed32Type:
		size = 4
	case protowire.Fixed64Type:
		size = 8
	case protowire.BytesType:
		if size, err = readVarint(p.body); err != nil {
			return false, noEnd(err)
		}
		if number == fieldPushContent {
			return true, p.begin(size)
		}
		field = protowire.AppendVarint(field, size)
	default: // groups, which no version of the message has
		return false, invalid(fmt.Errorf("field %d has wire type %d", number, kind))
	}
	if field, err = p.appendBytes(field, size); err != nil {
		return false, err
	}
	return false, p.merge(field)
}

func (p *pushReader) begin(size uint64) error {
	if size > math.MaxInt64 {
		return invalid(errors.New("the content is too long"))
	}
	p.left = int64(size)
	return nil
}

func (p *pushReader) appendBytes(field []byte, size uint64) ([]byte, error) {
	if p.read += int(min(size, maxHead+1)); p.read > maxHead {
		return nil, invalid(errors.New("the fields besides the content are too long"))
	}
	start := len(field)
	field = append(field, make([]byte, size)...)
	if _, err := io.ReadFull(p.body, field[start:]); err != nil {
		return nil, noEnd(err)
	}
	return field, nil
}

// merge decodes one field into the head.
func (p *pushReader) merge(field []byte) error {
	if p.read += len(field); p.read > maxHead {
		return invalid(errors.New("the fields besides the content are too long"))
	}
	options := proto.UnmarshalOptions{Merge: true, RecursionLimit: maxDepth}
	if err := options.Unmarshal(field, p.head); err != nil {
		return invalid(err)
	}
	return nil
}

// readVarint returns io.EOF only if there is not even a first byte.
func readVarint(body *bufio.Reader) (uint64, error) {
	var encoded [10]byte
	for i := range encoded {
		b, err := body.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && i == 0:
			return 0, io.EOF
		case err != nil:
			return 0, noEnd(err)
		}
		encoded[i] = b
		if b < 0x80 {
			value, n := protowire.ConsumeVarint(encoded[:i+1])
			if n < 0 {
				return 0, invalid(protowire.ParseError(n))
			}
			return value, nil
		}
	}
	return 0, invalid(errors.New("a number has no end"))
}

// noEnd is the error for a request that ends within a field. A broken connection is not the
// sender's fault, and the sender is not told of it.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid(io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("read request: %w", err)
}

func invalid(cause error) *Error { return NewError(CodeInvalidProtobuf).WithCause(cause) }
