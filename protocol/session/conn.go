package session

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/delimited"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// Errors that callers branch on. After any of them, except ErrFrameTooLarge from WriteFrame,
// the stream is of no further use.
var (
	// ErrFrameTooLarge: a frame is over the limit.
	ErrFrameTooLarge = delimited.ErrTooLarge
	// ErrMalformed: the bytes are not a frame.
	ErrMalformed = delimited.ErrMalformed
	// ErrBroken: an earlier write failed in the middle of a frame.
	ErrBroken = errors.New("session stream is broken by an earlier write")
)

// Conn moves frames over a stream. One goroutine may read while any number write.
type Conn struct {
	rwc    io.ReadWriteCloser
	limits Limits
	in     *bufio.Reader

	mu     sync.Mutex
	out    []byte
	broken error
}

// NewConn frames a stream, which from now on belongs to the Conn.
func NewConn(rwc io.ReadWriteCloser, limits Limits) *Conn {
	return &Conn{rwc: rwc, limits: limits.withDefaults(), in: bufio.NewReader(rwc)}
}

// ReadFrame waits for the next frame with a body that this version knows. It returns io.EOF
// if the other end closed the stream between frames, and the stream's own error if it was
// reset or its deadline passed.
func (c *Conn) ReadFrame() (*sessionpb.Frame, error) {
	for {
		frame := new(sessionpb.Frame)
		switch err := delimited.Read(c.in, c.limits.MaxFrame, frame); {
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case err != nil:
			return nil, fmt.Errorf("read session frame: %w", err)
		}
		switch {
		case frame.GetBody() != nil:
			return frame, nil
		case len(frame.ProtoReflect().GetUnknown()) == 0:
			return nil, fmt.Errorf("%w: it is empty", ErrMalformed)
		}
	}
}

// WriteFrame sends a frame; when it returns nil, the stream has taken all of it. For a frame
// over the limit it returns ErrFrameTooLarge, and the stream remains usable.
func (c *Conn) WriteFrame(frame *sessionpb.Frame) error {
	size := proto.Size(frame)
	if size > c.limits.MaxFrame {
		return fmt.Errorf("%w: %T of %d bytes; at most %d are allowed", ErrFrameTooLarge, frame.GetBody(), size, c.limits.MaxFrame)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return fmt.Errorf("%w: %w", ErrBroken, c.broken)
	}
	out, err := delimited.Append(c.out[:0], frame)
	if err != nil {
		return err
	}
	if c.out = nil; cap(out) <= keepBuffer {
		c.out = out
	}
	if _, err := c.rwc.Write(out); err != nil {
		c.broken = err
		return fmt.Errorf("send %T: %w", frame.GetBody(), err)
	}
	return nil
}

// Close closes the stream.
func (c *Conn) Close() error { return c.rwc.Close() }
