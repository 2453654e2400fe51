package flwr

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"
)

// frameHead is the size of the length before each message of a stream: 4 bytes, big endian.
const frameHead = 4

// FrameWriter answers a request with a stream of messages. The end of the answer is the end
// of the stream; a handler that cannot go on must cut it with [http.ErrAbortHandler]. It is not
// safe for concurrent use.
type FrameWriter struct {
	w    http.ResponseWriter
	conn *http.ResponseController
}

// NewFrameWriter begins the answer. Its head is sent at once, since clients wait at most 30 s
// for the head, but for ever for frames.
func NewFrameWriter(w http.ResponseWriter) (*FrameWriter, error) {
	w.Header().Set("Content-Type", TypeStream)
	w.WriteHeader(http.StatusOK)
	f := &FrameWriter{w: w, conn: http.NewResponseController(w)}
	if err := f.conn.Flush(); err != nil {
		return nil, fmt.Errorf("begin stream: %w", err)
	}
	return f, nil
}

// Write sends a message immediately.
func (f *FrameWriter) Write(msg proto.Message) error {
	frame, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(make([]byte, frameHead, 256), msg)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-frameHead))
	_ = f.conn.SetWriteDeadline(time.Now().Add(IdleLimit))
	if _, err := f.w.Write(frame); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	if err := f.conn.Flush(); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}
