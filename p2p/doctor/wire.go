package doctor

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// opener opens a fresh stream of one connection: network.Conn can, and so can a transport's
// connection that no swarm knows.
type opener func(context.Context) (network.MuxedStream, error)

// ask opens a stream for proto and lets use speak on it, until limit is over or ctx ends. The
// stream is closed afterwards.
func ask(ctx context.Context, open opener, proto protocol.ID, limit time.Duration, use func(network.MuxedStream) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s, err := open(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", proto, err)
	}
	defer s.Reset()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	if deadline, ok := ctx.Deadline(); ok {
		_ = s.SetDeadline(deadline)
	}
	if err := multistream.SelectProtoOrFail(proto, s); err != nil {
		return fmt.Errorf("open %s: %w", proto, err)
	}
	if err := use(s); err != nil {
		return fmt.Errorf("%s: %w", proto, err)
	}
	return nil
}

// readMessage takes no byte of what follows.
func readMessage(from io.Reader, m proto.Message) error {
	return delimited.Read(delimited.Exactly(from), maxMessage, m)
}
