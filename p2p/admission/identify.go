package admission

import (
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	pb "github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	"google.golang.org/protobuf/encoding/protodelim"
)

// StrangersAgent is what a host calls itself to peers that are not members.
const StrangersAgent = "rhizome"

// identifyBriefly answers an identify request with what any peer knows or must know: this host's
// key, the peer's own address as seen from here, and the protocols that it may use. libp2p's own
// answer names all protocols and all addresses, including those on the LAN.
func (c *Controller) identifyBriefly(s network.Stream, protocols []string) error {
	key, err := crypto.MarshalPublicKey(c.key)
	if err != nil {
		s.Reset()
		return fmt.Errorf("encode own public key: %w", err)
	}
	agent, version := StrangersAgent, ""
	s.SetDeadline(time.Now().Add(negotiateTime))
	if _, err := protodelim.MarshalTo(s, &pb.Identify{
		PublicKey:       key,
		AgentVersion:    &agent,
		ProtocolVersion: &version,
		ObservedAddr:    s.Conn().RemoteMultiaddr().Bytes(),
		Protocols:       protocols,
	}); err != nil {
		s.Reset()
		return fmt.Errorf("answer identify: %w", err)
	}
	return s.Close()
}

// Resources returns libp2p's resource manager for the host.
func (c *Controller) Resources() network.ResourceManager { return &quiet{c.limits, c} }

// quiet is a resource manager that keeps identify from pushing the long answer to peers that get
// the short one. A push opens a stream on every connection by itself; the only place to stop it is
// where the stream's protocol must be granted.
type quiet struct {
	network.ResourceManager
	c *Controller
}

var errNoPush = errors.New("identify is not pushed to peers that are not members")

func (q *quiet) OpenStream(p peer.ID, dir network.Direction) (network.StreamManagementScope, error) {
	scope, err := q.ResourceManager.OpenStream(p, dir)
	if err != nil || dir != network.DirOutbound {
		return scope, err
	}
	return &quietStream{scope, q.c, p}, nil
}

type quietStream struct {
	network.StreamManagementScope
	c    *Controller
	peer peer.ID
}

func (s *quietStream) SetProtocol(proto protocol.ID) error {
	if proto == identify.IDPush && s.c.Standing(s.peer) != Member {
		return errNoPush
	}
	return s.StreamManagementScope.SetProtocol(proto)
}
