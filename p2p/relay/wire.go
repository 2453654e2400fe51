package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

// reader reads length-delimited messages of a bounded size.
type reader struct {
	r   *bufio.Reader
	max int64
}

func newReader(r io.Reader, max int64) reader { return reader{bufio.NewReader(r), max} }

func (r reader) read(m proto.Message) error {
	err := protodelim.UnmarshalOptions{MaxSize: r.max}.UnmarshalFrom(r.r, m)
	var tooLarge *protodelim.SizeTooLargeError
	if errors.As(err, &tooLarge) {
		return fmt.Errorf("message of %d bytes: at most %d", tooLarge.Size, tooLarge.MaxSize)
	}
	return err
}

// write sends one message in a single write, so that it costs one packet.
func write(w io.Writer, m proto.Message) error {
	_, err := protodelim.MarshalTo(w, m)
	return err
}
