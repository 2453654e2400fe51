package doctor

import "time"

// MaxTime of an examination, in the worst site. The phases below fill it.
const MaxTime = 18 * time.Second

// Phases. Each ends when its checks are done, mostly within a second.
const (
	// waysTime of phase 1: a name, and a handshake on a satellite line.
	waysTime = 7 * time.Second
	// relaysTime of phase 2: connection, reservation and a circuit, eight round trips.
	relaysTime = 6 * time.Second
	// pathsTime of phase 3, all transfers together.
	pathsTime = 4 * time.Second
)

// Single checks.
const (
	// resolveTimeout: resolvers ask twice with 1 s in between when a packet is lost.
	resolveTimeout = 3 * time.Second
	// connectTimeout lets TCP send its SYN three times (after 1 and 3 s).
	connectTimeout = 4 * time.Second
	// handshakeTimeout of a transport with TLS or Noise, and a proxy in front.
	handshakeTimeout = 6 * time.Second
	// askTimeout of identify, observe, or a transfer to begin, on a connection that is up.
	askTimeout = 3 * time.Second
	// knockTimeout on who knocks: two tries of 750 ms.
	knockTimeout = 1500 * time.Millisecond
	// knockTries at a UDP port: a single packet may get lost.
	knockTries = 2
	// routerTimeout for UPnP, whose devices may wait 2 s with their answer, and NAT-PMP.
	routerTimeout = 2500 * time.Millisecond
	// transferTime of one transfer in one direction.
	transferTime = 700 * time.Millisecond
)

// Sizes and numbers.
const (
	// maxAddresses that are tried at a time; a ticket has 32, of which most are circuits.
	maxAddresses = 40
	// maxRelays that are examined, each with a host of its own (half a megabyte).
	maxRelays = 4
	// maxResolved addresses of one name.
	maxResolved = 3
	// maxPaths whose throughput is measured, in the time that there is.
	maxPaths = 3
	// samples of clock and round trip on one connection; the quickest counts.
	samples = 3
	// maxMessage of our protocols.
	maxMessage = 4 << 10
	// maxIdentify of libp2p's identify, which lists keys, protocols and addresses.
	maxIdentify = 64 << 10
	// maxDetail of an error that goes into the report, in characters.
	maxDetail = 200
	// maxListed endpoints in a sentence; more are counted.
	maxListed = 4

	// skewWorthTelling: below it nothing that Rhizome does depends on the clock.
	skewWorthTelling = 30 * time.Second
)

// The server side.
const (
	// maxObserved answers on one stream.
	maxObserved = 8
	// maxPerPeer streams of each protocol: a doctor asks over all addresses at once, of which
	// it tries maxAddresses.
	maxPerPeer = 48
	// maxObservers at a time; each holds its goroutine for streamTimeout at most.
	maxObservers = 256
	// maxKnocks at a time. Each takes up to knockTimeout, so a relay sends 20 packets a second
	// at most. maxKnocking are those who have yet to say where to knock; they are refused if
	// there is no place by then.
	maxKnocks   = 16
	maxKnocking = 240
	// maxTransfers at a time, so that curious members take a small part of a link's line.
	maxTransfers = 2
	// maxWaiting for a transfer, each for transferWait: fast lines are done in a tenth of that.
	maxWaiting   = 16
	transferWait = 1500 * time.Millisecond
	// transferBytes of one transfer: enough to fill a line of 50 Mbit/s for transferTime.
	transferBytes = 4 << 20
	// transferLimit of one transfer on the server, with time for the line to drain.
	transferLimit = 1500 * time.Millisecond
	// transferWhole of one stream: asking, waiting, the transfer, and its result.
	transferWhole = streamTimeout + transferWait + transferLimit + streamTimeout
	// transferChunk that is written at once.
	transferChunk = 32 << 10
	// streamTimeout of everything else that a stream does.
	streamTimeout = 5 * time.Second
)
