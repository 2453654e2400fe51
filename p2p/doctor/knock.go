package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/rhizome-fl/rhizome/p2p/doctor/doctorpb"
)

// Door is what somebody who knocked at a port met.
type Door string

const (
	DoorUnknown Door = ""        // nobody knocked
	DoorOpen    Door = "open"    // somebody answered
	DoorRefused Door = "refused" // a reset or an ICMP error came back
	DoorSilent  Door = "silent"  // nothing came back
)

var outcomes = map[Door]doctorpb.KnockAnswer_Outcome{
	DoorUnknown: doctorpb.KnockAnswer_NOT_TRIED,
	DoorOpen:    doctorpb.KnockAnswer_OPEN,
	DoorRefused: doctorpb.KnockAnswer_REFUSED,
	DoorSilent:  doctorpb.KnockAnswer_SILENT,
}

func doorOf(outcome doctorpb.KnockAnswer_Outcome) Door {
	for door, o := range outcomes {
		if o == outcome {
			return door
		}
	}
	return DoorUnknown
}

// knockTCP connects from a port that has spoken to nobody, and hangs up.
func knockTCP(ctx context.Context, at netip.AddrPort) Door {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", at.String())
	switch {
	case err == nil:
		_ = c.Close()
		return DoorOpen
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return DoorRefused
	case unreachable(err):
		return DoorRefused
	}
	return DoorSilent
}

// knockUDP sends a QUIC packet of a version that nobody speaks. Every QUIC listener answers it
// with the versions that it does speak.
func knockUDP(ctx context.Context, at netip.AddrPort) Door {
	c, err := new(net.Dialer).DialContext(ctx, "udp", at.String())
	if err != nil {
		return DoorUnknown
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	packet := unknownVersion()
	for range knockTries {
		if _, err := c.Write(packet); err != nil {
			return refusedOr(err, DoorUnknown)
		}
		_ = c.SetReadDeadline(time.Now().Add(knockTimeout / knockTries))
		if ctx.Err() != nil {
			break
		}
		_, err := c.Read(make([]byte, quicPacket))
		if err == nil {
			return DoorOpen
		}
		if refusedOr(err, DoorSilent) == DoorRefused {
			return DoorRefused
		}
	}
	return DoorSilent
}

func refusedOr(err error, otherwise Door) Door {
	if errors.Is(err, syscall.ECONNREFUSED) || unreachable(err) {
		return DoorRefused
	}
	return otherwise
}

const (
	// quicPacket is the minimum size of a first packet (RFC 9000, 14.1).
	quicPacket = 1200
	// quicIDLength is that of the connection ids that we make up.
	quicIDLength = 8
)

// unknownVersion makes a packet with the long header common to all QUIC versions (RFC 8999), and a
// version of the pattern reserved for this purpose (RFC 9000, 15).
func unknownVersion() []byte {
	packet := make([]byte, quicPacket)
	rand.Read(packet)
	head := []byte{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, quicIDLength}
	copy(packet, head)
	packet[len(head)+quicIDLength] = quicIDLength
	return packet
}
