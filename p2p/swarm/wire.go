package swarm

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/p2p/swarm/swarmpb"
)

// ProtocolID of the streams.
const ProtocolID protocol.ID = "/rhizome/swarm/1"

var log = logging.Logger("p2p/swarm")

// ErrRefused: the peer is not known in this run.
var ErrRefused = errors.New("not in the swarm of this run")

var (
	errMalformed = errors.New("malformed swarm message")
	errTooMuch   = fmt.Errorf("%w: more than %d objects are wanted at a time", errMalformed, maxAsked)
)

// idBytes is the length of an id on the wire.
const idBytes = 32

// Ask is what an asker says, checked.
type Ask struct {
	Want, Got []string
	Liars     []peer.ID
	Alone     bool
}

// readAsk reads what a peer says. The run id is 0 in all but the first.
func readAsk(r *bufio.Reader) (runID uint64, ask Ask, err error) {
	var msg swarmpb.Ask
	if err := readMessage(r, &msg); err != nil {
		return 0, Ask{}, err
	}
	if ask.Want, err = Unpack(msg.GetWant()); err != nil {
		return 0, Ask{}, err
	}
	if ask.Got, err = Unpack(msg.GetGot()); err != nil {
		return 0, Ask{}, err
	}
	if len(msg.GetLiars()) > maxLiars {
		return 0, Ask{}, fmt.Errorf("%w: %d liars", errMalformed, len(msg.GetLiars()))
	}
	for _, raw := range msg.GetLiars() {
		id, err := peer.IDFromBytes(raw)
		if err != nil {
			return 0, Ask{}, fmt.Errorf("%w: %w", errMalformed, err)
		}
		ask.Liars = append(ask.Liars, id)
	}
	ask.Alone = msg.GetAlone()
	return msg.GetRunId(), ask, nil
}

func writeAsk(w io.Writer, runID uint64, ask Ask) error {
	msg := &swarmpb.Ask{RunId: runID, Want: Pack(ask.Want), Got: Pack(ask.Got), Alone: ask.Alone}
	for _, p := range ask.Liars {
		msg.Liars = append(msg.Liars, []byte(p))
	}
	return writeMessage(w, msg)
}

func readTell(r *bufio.Reader) (have []string, err error) {
	var msg swarmpb.Tell
	if err := readMessage(r, &msg); err != nil {
		return nil, err
	}
	if msg.GetRefused() {
		return nil, ErrRefused
	}
	return Unpack(msg.GetHave())
}

func writeTell(w io.Writer, have []string) error {
	return writeMessage(w, &swarmpb.Tell{Have: Pack(have)})
}

// Pack puts ids one behind the other, 32 bytes each. It panics for what is no id: all come
// from checked sources.
func Pack(ids []string) []byte {
	packed := make([]byte, 0, idBytes*len(ids))
	for _, id := range ids {
		var err error
		if packed, err = hex.AppendDecode(packed, []byte(id)); err != nil {
			panic(fmt.Sprintf("object id %q: %v", id, err))
		}
	}
	return packed
}

// Unpack is the reverse of Pack.
func Unpack(packed []byte) ([]string, error) {
	if len(packed)%idBytes != 0 {
		return nil, fmt.Errorf("%w: ids of %d bytes in all", errMalformed, len(packed))
	}
	ids := make([]string, 0, len(packed)/idBytes)
	for ; len(packed) > 0; packed = packed[idBytes:] {
		ids = append(ids, hex.EncodeToString(packed[:idBytes]))
	}
	return ids, nil
}

func readMessage(r *bufio.Reader, msg proto.Message) error {
	err := protodelim.UnmarshalOptions{MaxSize: maxMessage}.UnmarshalFrom(r, msg)
	if errors.As(err, new(*protodelim.SizeTooLargeError)) || errors.Is(err, proto.Error) {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return err
}

// writeMessage sends a message and its length in one write.
func writeMessage(w io.Writer, msg proto.Message) error {
	var buf frame
	if _, err := protodelim.MarshalTo(&buf, msg); err != nil {
		return err
	}
	_, err := w.Write(buf)
	return err
}

type frame []byte

func (f *frame) Write(p []byte) (int, error) {
	*f = append(*f, p...)
	return len(p), nil
}
