package doctor

import "time"

// MaxTime bounds an examination, even at the worst site. The phases below add up to it.
const MaxTime = 18 * time.Second

// These are the phases. Each ends when its checks are done, mostly within a second.
const (
	// waysTime is for phase 1: a name, and a handshake on a satellite line.
	waysTime = 7 * time.Second
	// relaysTime is for phase 2: connection, reservation and a circuit, eight round trips.
	relaysTime = 6 * time.Second
	// pathsTime is for phase 3, all transfers together.
	pathsTime = 4 * time.Second
)

// These bound single checks.
const (
	// resolveTimeout: resolvers ask twice, 1 s apart, when a packet is lost.
	resolveTimeout = 3 * time.Second
	// connectTimeout lets TCP send its SYN three times (after 1 and 3 s).
	connectTimeout = 4 * time.Second
	// handshakeTimeout is for a transport with TLS or Noise, with a proxy in front.
	handshakeTimeout = 6 * time.Second
	// askTimeout is for identify, observe, or the start of a transfer, on a connection that is up.
	askTimeout = 3 * time.Second
	// knockTimeout is for the peer that knocks: two attempts of 750 ms.
	knockTimeout = 1500 * time.Millisecond
	// knockTries is how often a UDP port is tried: a single packet may get lost.
	knockTries = 2
	// routerTimeout is for UPnP, whose devices may wait 2 s before they answer, and NAT-PMP.
	routerTimeout = 2500 * time.Millisecond
	// transferTime is for one transfer in one direction.
	transferTime = 700 * time.Millisecond
)

// These are sizes and numbers.
const (
	// maxAddresses are tried at a time; a ticket has 32, of which most are circuits.
	maxAddresses = 40
	// maxRelays are examined, each with a host of its own (half a megabyte).
	maxRelays = 4
	// maxResolved bounds the addresses of one name.
	maxResolved = 3
	// maxPaths is how many paths have their throughput measured in the time available.
	maxPaths = 3
	// samples is how often clock and round trip are measured on one connection; the quickest
	// counts.
	samples = 3
	// maxMessage bounds the messages of our protocols.
	maxMessage = 4 << 10
	// maxIdentify bounds libp2p's identify, which lists keys, protocols and addresses.
	maxIdentify = 64 << 10
	// maxDetail bounds an error that goes into the report, in characters.
	maxDetail = 200
	// maxListed endpoints are named in a sentence; the rest are only counted.
	maxListed = 4

	// skewWorthTelling: below this, nothing that Rhizome does depends on the clock.
	skewWorthTelling = 30 * time.Second
)

// This is the server side.
const (
	// maxObserved bounds the answers on one stream.
	maxObserved = 8
	// maxPerPeer bounds the streams of each protocol: a doctor asks over all addresses at once,
	// and tries maxAddresses of them.
	maxPerPeer = 48
	// maxObservers may be open at a time; each holds its goroutine for streamTimeout at most.
	maxObservers = 256
	// maxKnocks run at a time. Each takes up to knockTimeout, so a relay sends no more than 20
	// packets a second. maxKnocking have yet to say where to knock; they are refused if there is
	// no place by then.
	maxKnocks   = 16
	maxKnocking = 240
	// maxTransfers run at a time, so that curious members take only a small part of a link's line.
	maxTransfers = 2
	// maxWaiting wait for a transfer, each for transferWait: fast lines are done in a tenth of
	// that.
	maxWaiting   = 16
	transferWait = 1500 * time.Millisecond
	// transferBytes is the size of one transfer: enough to fill a line of 50 Mbit/s for
	// transferTime.
	transferBytes = 4 << 20
	// transferLimit bounds one transfer on the server, with time for the line to drain.
	transferLimit = 1500 * time.Millisecond
	// transferWhole bounds one stream: asking, waiting, the transfer, and its result.
	transferWhole = streamTimeout + transferWait + transferLimit + streamTimeout
	// transferChunk is written at once.
	transferChunk = 32 << 10
	// streamTimeout bounds everything else that a stream does.
	streamTimeout = 5 * time.Second
)
