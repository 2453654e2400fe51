package relay

import (
	"errors"
	"fmt"
	"time"
)

// Limits are what an operator may want to set. Zero means the default where the comment
// names one, else no limit.
type Limits struct {
	// PeerRate is bytes per second for each owner, all circuits and both directions together.
	PeerRate int64
	// PeerBytes is how much an owner may send and receive within one [Window].
	PeerBytes int64
	// PeerCircuits is how many circuits an owner may have at a time. Default 16: a session,
	// a few members to fetch from, and what was not yet noticed to be dead.
	PeerCircuits int

	// FederationRate, FederationBytes and FederationCircuits are the same for all that one
	// link vouches for, together.
	FederationRate     int64
	FederationBytes    int64
	FederationCircuits int

	// Rate is bytes per second for the whole relay. Set it a little below the uplink to
	// have the relay share the line fairly, and not the operator's router.
	Rate int64
	// Circuits is how many circuits the relay carries at a time. Default 2048, which is
	// 256 MiB of buffers when all of them are in use.
	Circuits int

	// CircuitBytes (each direction) and CircuitTime end a single circuit. They are told to
	// both ends, for which the connection is a limited one then.
	CircuitBytes int64
	CircuitTime  time.Duration
}

const (
	// Window is the period of the byte budgets: a day, so that an operator can think in
	// traffic per day. It starts with the first byte after the last one ended.
	Window = 24 * time.Hour

	// DefaultBufferSize of a circuit's direction. go-libp2p's 2 KiB costs half the
	// throughput and twice the CPU; beyond 64 KiB little is gained.
	DefaultBufferSize = 64 << 10

	// StrangerBytes is what a circuit of a peer that nobody vouches for may carry: two TLS
	// handshakes, identify, and a join with room to spare.
	StrangerBytes = 1 << 20
	// StrangerTime ends a stranger's circuit: a join that waits for a slow line and a
	// link's disk, many times over.
	StrangerTime = time.Minute
	// StrangerCircuits that one stranger may have, since clients race several addresses.
	StrangerCircuits = 4
	// StrangersPerLink bounds the strangers that knock at one link at a time. Whoever
	// floods it keeps others from joining, not members from working.
	StrangersPerLink = 128

	// reservationTTL is circuit v2's usual; clients renew long before.
	reservationTTL = time.Hour
	// openReservationsPerIP: in open mode an address is the only thing that costs a
	// stranger anything; 32 lets a site behind one NAT in.
	openReservationsPerIP = 32
	// maxReservations is above any member set that this relay has the circuits for.
	maxReservations = 16 << 10

	// maxMembers a link may vouch for: 16 Ki ids are about 2 MiB of memory.
	maxMembers = 16 << 10
	// maxLinks bounds the allow-list, and with it all that is kept per federation.
	maxLinks = 1 << 10
	// maxFederationName is what metrics and logs take from a link's self-description.
	maxFederationName = 64
	// maxReason and maxDetail are what is shown of a relay's explanations, in characters.
	maxReason = 32
	maxDetail = 400
	// maxVouchMessage holds updatePart ids of 42 bytes with their framing.
	maxVouchMessage = 64 << 10
	// maxUnneeded is what a link may send that need not vouch: the whole of its first
	// update, which leaves with the hello.
	maxUnneeded = (maxMembers/updatePart + 1) * maxVouchMessage
	// updatePart is how many ids a part of an update names at most.
	updatePart = 1000

	// vouchGrace keeps members of a link whose vouch stream broke: a link that restarts
	// must not cut the transfers between its members, and one that is gone for good must
	// not leave them a relay for ever.
	vouchGrace = 10 * time.Minute
	// handshakeTimeout is for each message of a peer that owes us one.
	handshakeTimeout = 20 * time.Second

	// maxVouches are open at a time: all links, as often as one of them may have, and links
	// that nobody has allowed, at a relay for anybody.
	maxVouches = 4 << 10
	// vouchesPerLink: the newest counts, and those before it may have yet to end.
	vouchesPerLink = 4
	// maxAskers for their standing at a time, and asksPerPeer of them from one peer. An answer
	// is one packet, so that only dead lines hold a place.
	maxAskers   = 1 << 10
	asksPerPeer = 4

	// maxHopMessage is circuit v2's own bound on a message.
	maxHopMessage = 4096
	// maxAccounts bounds the budgets that are remembered; past it the one that ends first
	// is forgotten. Only open mode can have as many peers.
	maxAccounts = 64 << 10
	// maxRefusals bounds what [Ask] can explain; the oldest is forgotten.
	maxRefusals = 1 << 10
	// maxStanding holds a Standing with the longest refusal.
	maxStanding = 4 << 10

	// DefaultPeerCircuits and DefaultCircuits: a peer needs one, and a few while it moves to
	// another path; a thousand nodes that come back at once have two each.
	DefaultPeerCircuits = 16
	DefaultCircuits     = 2 << 10
	// minBufferSize and maxBufferSize: libp2p's default costs half the throughput, and what is
	// beyond gains none and is held for every circuit.
	minBufferSize = 2 << 10
	maxBufferSize = 4 << 20
)

func (l Limits) withDefaults() Limits {
	if l.PeerCircuits == 0 {
		l.PeerCircuits = DefaultPeerCircuits
	}
	if l.Circuits == 0 {
		l.Circuits = DefaultCircuits
	}
	if l.FederationCircuits == 0 {
		l.FederationCircuits = l.Circuits
	}
	return l
}

func (l Limits) validate() error {
	var errs []error
	for _, x := range []struct {
		name  string
		value int64
	}{
		{"peer rate", l.PeerRate}, {"peer bytes", l.PeerBytes}, {"peer circuits", int64(l.PeerCircuits)},
		{"federation rate", l.FederationRate}, {"federation bytes", l.FederationBytes},
		{"federation circuits", int64(l.FederationCircuits)}, {"rate", l.Rate}, {"circuits", int64(l.Circuits)},
		{"circuit bytes", l.CircuitBytes}, {"circuit time", int64(l.CircuitTime)},
	} {
		if x.value < 0 {
			errs = append(errs, fmt.Errorf("relay limit %q is negative: %d", x.name, x.value))
		}
	}
	if l.CircuitTime != 0 && l.CircuitTime < time.Second {
		errs = append(errs, fmt.Errorf("relay limit %q is %v, which circuit v2 cannot say: at least 1s", "circuit time", l.CircuitTime))
	}
	return errors.Join(errs...)
}
