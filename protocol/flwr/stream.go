package flwr

import (
	"encoding/binary"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/proto"
)

// FrameWriter writes a streamed response: frames of a 4-byte big-endian length and one
// message each. The end of the body is the end of the stream. One goroutine uses it.
type FrameWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	started bool
}

// NewFrameWriter prepares a stream. Nothing is sent before the first frame or Start, so
// that an error can still be answered as one.
func NewFrameWriter(w http.ResponseWriter) *FrameWriter {
	return &FrameWriter{w: w, control: http.NewResponseController(w)}
}

// Start sends the response header, which the client waits for at most 30 s.
func (f *FrameWriter) Start() error {
	if f.started {
		return nil
	}
	f.started = true
	f.w.Header().Set("Content-Type", ContentTypeStream)
	f.w.WriteHeader(http.StatusOK)
	return f.control.Flush()
}

// Write sends one message at once.
func (f *FrameWriter) Write(msg proto.Message) error {
	if err := f.Start(); err != nil {
		return err
	}
	body, err := Marshal(msg)
	if err != nil {
		return fmt.Errorf("serialize a frame: %w", err)
	}
	if len(body) > MaxFrame {
		return fmt.Errorf("frame of %d bytes is more than clients take", len(body))
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	if _, err := f.w.Write(append(frame, body...)); err != nil {
		return err
	}
	return f.control.Flush()
}
