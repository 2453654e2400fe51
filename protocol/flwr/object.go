package flwr

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// Field numbers of PushObjectRequest and PullObjectResponse.
const (
	pushContentField = 4
	pullContentField = 3
)

// ObjectPush is a push-object request whose content has not been read yet.
//
// The content is field 4 of the message and comes before the session id (5) when fields
// are in order, as all known clients send them. It is not held: [ObjectPush.Content] reads
// it off the request. The fields behind it are known once it was read to its end and
// [ObjectPush.Finish] was called; [ObjectPush.Head] has those before it.
type ObjectPush struct {
	// Head has every field but the content.
	Head *flwrpb.PushObjectRequest
	// Size of the content in bytes.
	Size int64

	body    *bufio.Reader
	content io.LimitedReader
}

// ReadObjectPush reads a push-object request up to its content. The error is an *Error.
func ReadObjectPush(r *http.Request) (*ObjectPush, error) {
	if err := CheckContentType(r); err != nil {
		return nil, err
	}
	push := &ObjectPush{Head: &flwrpb.PushObjectRequest{}, body: bufio.NewReaderSize(r.Body, 32<<10)}
	var head []byte
	for {
		number, kind, tag, err := readTag(push.body)
		if errors.Is(err, io.EOF) { // an object without content
			return push, push.take(head)
		}
		if err != nil {
			return nil, NewError(CodeInvalidPayload)
		}
		if number == pushContentField && kind == protowire.BytesType {
			if err := push.beginContent(); err != nil {
				return nil, err
			}
			return push, push.take(head)
		}
		if head, err = appendField(append(head, tag...), push.body, kind); err != nil {
			return nil, err
		}
	}
}

// Content reads the object's bytes.
func (p *ObjectPush) Content() io.Reader { return &p.content }

// Finish reads the fields behind the content, which must have been read to its end.
func (p *ObjectPush) Finish() error {
	if p.content.N > 0 {
		return NewError(CodeInvalidPayload).WithExtra("The body ends early.")
	}
	tail, err := io.ReadAll(io.LimitReader(p.body, maxObjectHead+1))
	if err != nil || len(tail) > maxObjectHead {
		return NewError(CodeInvalidPayload)
	}
	rest := &flwrpb.PushObjectRequest{}
	if err := proto.Unmarshal(tail, rest); err != nil || len(rest.ObjectContent) > 0 {
		return NewError(CodeInvalidPayload)
	}
	proto.Merge(p.Head, rest)
	return nil
}

func (p *ObjectPush) beginContent() error {
	size, err := readVarint(p.body)
	if err != nil {
		return NewError(CodeInvalidPayload)
	}
	if size > MaxObject {
		return tooLarge(MaxObject)
	}
	p.Size = int64(size)
	p.content = io.LimitedReader{R: p.body, N: p.Size}
	return nil
}

func (p *ObjectPush) take(head []byte) error {
	if err := proto.Unmarshal(head, p.Head); err != nil {
		return NewError(CodeInvalidPayload)
	}
	return nil
}

// appendField copies one field behind its tag, within the bound of the head.
func appendField(head []byte, body *bufio.Reader, kind protowire.Type) ([]byte, error) {
	var size uint64
	switch kind {
	case protowire.VarintType:
		value, err := readVarint(body)
		if err != nil {
			return nil, NewError(CodeInvalidPayload)
		}
		return protowire.AppendVarint(head, value), nil
	case protowire.Fixed32Type:
		size = 4
	case protowire.Fixed64Type:
		size = 8
	case protowire.BytesType:
		length, err := readVarint(body)
		if err != nil {
			return nil, NewError(CodeInvalidPayload)
		}
		size, head = length, protowire.AppendVarint(head, length)
	default: // groups, which no version of the message has
		return nil, NewError(CodeInvalidPayload)
	}
	if size > maxObjectHead || len(head)+int(size) > maxObjectHead {
		return nil, NewError(CodeInvalidPayload)
	}
	field := make([]byte, size)
	if _, err := io.ReadFull(body, field); err != nil {
		return nil, NewError(CodeInvalidPayload)
	}
	return append(head, field...), nil
}

// readTag reads one field tag; io.EOF only if there is no further byte.
func readTag(body *bufio.Reader) (protowire.Number, protowire.Type, []byte, error) {
	value, err := readVarint(body)
	if err != nil {
		return 0, 0, nil, err
	}
	number, kind := protowire.DecodeTag(value)
	if number < protowire.MinValidNumber {
		return 0, 0, nil, errors.New("no such field")
	}
	return number, kind, protowire.AppendVarint(nil, value), nil
}

func readVarint(body *bufio.Reader) (uint64, error) {
	var raw [10]byte
	for i := range raw {
		b, err := body.ReadByte()
		if err != nil {
			if i > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		raw[i] = b
		if b < 0x80 {
			value, n := protowire.ConsumeVarint(raw[:i+1])
			return value, protowire.ParseError(min(n, 0))
		}
	}
	return 0, errors.New("varint of more than 10 bytes")
}

// WriteObject answers pull-object with an object of size bytes, without holding it: the
// kernel copies from file to socket where content is an *os.File.
func WriteObject(w http.ResponseWriter, content io.Reader, size int64) error {
	if size > MaxObject || size > math.MaxInt32 {
		return fmt.Errorf("object of %d bytes is more than clients take", size)
	}
	prefix, err := Marshal(&flwrpb.PullObjectResponse{ObjectFound: true, ObjectAvailable: true})
	if err != nil {
		return err
	}
	prefix = protowire.AppendTag(prefix, pullContentField, protowire.BytesType)
	prefix = protowire.AppendVarint(prefix, uint64(size))
	header := w.Header()
	header.Set("Content-Type", ContentType)
	header.Set("Content-Length", strconv.FormatInt(int64(len(prefix))+size, 10))
	if _, err := w.Write(prefix); err != nil {
		return err
	}
	copied, err := io.Copy(w, content)
	if err == nil && copied != size {
		err = io.ErrUnexpectedEOF // the client sees a body that ends early, and tries again
	}
	return err
}
