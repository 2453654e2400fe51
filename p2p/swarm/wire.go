package swarm

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/p2p/swarm/swarmpb"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// ProtocolID of the streams.
const ProtocolID protocol.ID = "/rhizome/swarm/1"

var log = logs.For("p2p/swarm")

// ErrRefused: the peer is not known in this run.
var ErrRefused = errors.New("not in the swarm of this run")

var (
	errMalformed = delimited.ErrMalformed
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
	if err := delimited.Read(r, maxMessage, &msg); err != nil {
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
	return delimited.Write(w, msg)
}

func readTell(r *bufio.Reader) (have []string, err error) {
	var msg swarmpb.Tell
	if err := delimited.Read(r, maxMessage, &msg); err != nil {
		return nil, err
	}
	if msg.GetRefused() {
		return nil, ErrRefused
	}
	return Unpack(msg.GetHave())
}

func writeTell(w io.Writer, have []string) error {
	return delimited.Write(w, &swarmpb.Tell{Have: Pack(have)})
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
