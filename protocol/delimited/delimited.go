// Package delimited is the framing of all our own protocols: protobuf messages, each
// preceded by its length as a varint.
//
// It guarantees that a message over the reader's limit is refused before any memory is
// allocated for it, that memory for a message within the limit is allocated only as its
// bytes arrive, that nothing after a message is lost, and that a message and its length
// leave in one write.
//
// It is not responsible for what messages mean, for deadlines (those are the stream's), or
// for keeping the writes of several goroutines apart.
package delimited

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"
)

// Errors that callers branch on. After any of them the stream is of no further use.
var (
	// ErrMalformed: the bytes are not a message of the protocol.
	ErrMalformed = errors.New("malformed message")
	// ErrTooLarge is an ErrMalformed: the message is over the limit.
	ErrTooLarge = fmt.Errorf("%w: it is too large", ErrMalformed)
)

// Reader is what messages are read from, such as a bufio.Reader or the result of [Exactly].
type Reader interface {
	io.Reader
	io.ByteReader
}

// Read reads a message of at most limit bytes. It returns io.EOF only if the stream ends
// before the message begins.
func Read(r Reader, limit int, m proto.Message) error {
	content, err := ReadBytes(r, limit)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(content, m); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// ReadBytes is Read for callers that decode the message themselves.
func ReadBytes(r Reader, limit int) ([]byte, error) {
	size, err := readLength(r)
	if err != nil {
		return nil, err
	}
	if size > uint64(max(limit, 0)) {
		return nil, fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLarge, size, limit)
	}
	content := make([]byte, 0, min(int(size), firstStep))
	for len(content) < int(size) {
		if len(content) == cap(content) {
			content = slices.Grow(content, min(int(size)-len(content), len(content)))
		}
		n, err := io.ReadFull(r, content[len(content):min(cap(content), int(size))])
		content = content[:len(content)+n]
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("got %d of %d bytes: %w", len(content), size, err)
		}
	}
	return content, nil
}

func readLength(r io.ByteReader) (uint64, error) {
	var raw [binary.MaxVarintLen64]byte
	for i := range raw {
		b, err := r.ReadByte()
		if i > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
		if raw[i] = b; b >= 0x80 {
			continue
		}
		if size, n := binary.Uvarint(raw[:i+1]); n > 0 {
			return size, nil
		}
	}
	return 0, fmt.Errorf("%w: its length is not a varint", ErrMalformed)
}

// Write sends a message and its length in one write: one packet, not two.
func Write(w io.Writer, m proto.Message) error {
	b, err := Append(nil, m)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// Append appends what Write sends.
func Append(b []byte, m proto.Message) ([]byte, error) {
	size := proto.Size(m)
	b = slices.Grow(b, binary.MaxVarintLen64+size)
	b, err := proto.MarshalOptions{}.MarshalAppend(binary.AppendUvarint(b, uint64(size)), m)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", m, err)
	}
	return b, nil
}

// Exactly reads messages without taking a byte of what follows them, for streams that
// something else goes on reading.
func Exactly(r io.Reader) Reader { return &exact{Reader: r} }

type exact struct {
	io.Reader
	b [1]byte
}

func (r *exact) ReadByte() (byte, error) {
	_, err := io.ReadFull(r.Reader, r.b[:])
	return r.b[0], err
}
