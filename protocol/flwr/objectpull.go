package flwr

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// WriteObject answers pull-object with size bytes of content, copied straight from the reader.
// From an *os.File (even an embedded one) over plain TCP, the operating system does the copying.
// If content fails half-way, the answer is cut short.
func WriteObject(w http.ResponseWriter, content io.Reader, size int64) error {
	var head []byte
	head = protowire.AppendTag(head, fieldPullFound, protowire.VarintType)
	head = protowire.AppendVarint(head, 1)
	head = protowire.AppendTag(head, fieldPullAvailable, protowire.VarintType)
	head = protowire.AppendVarint(head, 1)
	head = protowire.AppendTag(head, fieldPullContent, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(size))
	return writeContent(w, head, content, size)
}

// WriteFAB answers get-fab with a bundle whose content, size bytes long, comes from a reader;
// fab holds the rest.
func WriteFAB(w http.ResponseWriter, fab *flwrpb.Fab, content io.Reader, size int64) error {
	const fieldFAB, fieldContent = 1, 2
	rest := proto.CloneOf(fab)
	rest.Content = nil
	inner, err := Marshal(rest)
	if err != nil {
		return fmt.Errorf("encode FAB: %w", err)
	}
	inner = protowire.AppendTag(inner, fieldContent, protowire.BytesType)
	inner = protowire.AppendVarint(inner, uint64(size))
	var head []byte
	head = protowire.AppendTag(head, fieldFAB, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(inner))+uint64(size))
	return writeContent(w, append(head, inner...), content, size)
}

// writeContent answers with head and content. By the time it returns, the answer has begun.
func writeContent(w http.ResponseWriter, head []byte, content io.Reader, size int64) error {
	w.Header().Set("Content-Type", TypeProtobuf)
	w.Header().Set("Content-Length", strconv.FormatInt(int64(len(head))+size, 10))
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write(head); err != nil {
		return nil // the client has left
	}
	if err := copyAll(w, content, size); err != nil {
		// Whoever is at fault, the client must not take this for the whole content.
		log.Info("an answer was cut short", "size", size, "err", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// copyAll writes size bytes of content as fast as the client takes them, with [IdleLimit]
// for each step. The steps are limited readers of content itself, which is what the
// standard library can hand over to the operating system.
func copyAll(w http.ResponseWriter, content io.Reader, size int64) error {
	conn := http.NewResponseController(w)
	for left := size; left > 0; {
		step := min(left, copyStep)
		// The server resets the deadline after the request.
		_ = conn.SetWriteDeadline(time.Now().Add(IdleLimit))
		n, err := io.CopyN(w, content, step)
		left -= n
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: %d bytes are missing", errShort, left)
		}
		if err != nil {
			return fmt.Errorf("send content: %w", err)
		}
	}
	return nil
}
