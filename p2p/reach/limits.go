package reach

import "time"

// Reaching and keeping a peer.
const (
	// DialTimeout bounds one round over all addresses: a relayed handshake takes eight round
	// trips, which is 4 s on a satellite line, and packets get lost.
	DialTimeout = 10 * time.Second
	// dialAgainWithin: a dial that failed as quickly as this did not fail because of the network.
	dialAgainWithin = time.Second
	// tcpHeadStart passes before QUIC is dialled: TCP and TLS take three round trips, QUIC one and
	// a half, on a line of 300 ms.
	tcpHeadStart = 500 * time.Millisecond
	// openTimeout is for opening a stream on a connection that is up.
	openTimeout = 8 * time.Second
	// aliveTimeout is for a ping on a connection that is left over after another one died.
	aliveTimeout = 3 * time.Second

	// measureTimeout bounds how long somebody who looks at a status waits for a silent peer; a
	// satellite line answers in time.
	measureTimeout = time.Second
	// measureAgain keeps a status display from pinging all the time.
	measureAgain = 5 * time.Second
	// maxPings bounds the pings at a time; a thousand peers answer in half a second.
	maxPings = 256

	// pathQuiet and pathProbeTimeout detect a path that died without a word in 8 s, so a session
	// is back 15 s after an address changed; its own heartbeats take up to 20 s. A session beats
	// every 5 to 10 s, so the peer is asked no more than once in 10 s. pathLook is the pause when
	// no ping came back but something else did.
	pathQuiet        = 5 * time.Second
	pathProbeTimeout = 3 * time.Second
	pathLook         = time.Second
	// pathProgress is how many bytes leave within pathProbeTimeout if a transfer is moving: more
	// than heartbeats and pings, less than the slowest line carries.
	pathProgress = 4 << 10

	// relayHeadStart is given to the other relays for each path that was lost with one, counting
	// up to mostBlame of them: a circuit through a good relay takes a second on a line of 200 ms.
	relayHeadStart = time.Second
	mostBlame      = 3

	// firstBackoff to maxBackoff are the pauses after failed rounds, doubling each time. They
	// start short, because most losses are a restart or a change of network.
	firstBackoff = 375 * time.Millisecond
	maxBackoff   = 10 * time.Second
	// stableAfter is how long serve must run for its peer to be treated as one that works.
	// Below it, a peer that accepts and fails at once would be dialled without pause.
	stableAfter = 5 * time.Second
	// refusalsToGiveUp end Keep: a single refusal can come from a link that is still loading its
	// members.
	refusalsToGiveUp = 3

	// serveGrace is the time a serve function has to finish a frame and say goodbye.
	serveGrace = 5 * time.Second
	// relayedLinger is how long a relayed connection stays beside a direct one: streams
	// that began on it end on it, and a direct path that dies young falls back at once.
	relayedLinger = time.Minute

	// punchTimeout bounds one attempt, which takes three round trips by QUIC and five by TCP: 2 s
	// are enough for a satellite line by QUIC. The third attempt is the one with swapped roles; it
	// has to be over 5 s after the session opened, and libp2p's 10 s would make that 20.
	punchTimeout = 2 * time.Second
	// punchRetry is how often a connection that is still relayed tries again: NATs and addresses
	// change. Each retry is a burst of packets to a peer that probably cannot be reached.
	punchRetry = 3 * time.Minute
	// firstDirectRetry is when addresses are dialled that the peer announced on the relayed path
	// and that no ticket names, such as a port forward that others have observed. Punching, which
	// is mostly done by then, does not help a side that can send to few ports only.
	firstDirectRetry = 2 * time.Second
	// firstPunchRetry: the first attempt fails at once when the other side has not yet learnt its
	// public address, which happens within its first seconds.
	firstPunchRetry = time.Second
	// quickPunches is how many times the pause doubles from firstPunchRetry before it becomes
	// punchRetry: these are the attempts within the first half minute.
	quickPunches = 4
)

// Reservations at relays.
const (
	// reserveTimeout covers connecting and the request.
	reserveTimeout = 15 * time.Second
	// reserveMaxBackoff: libp2p's autorelay waits an hour after a refusal, during which nobody can
	// reach a hub behind NAT.
	reserveMaxBackoff = 10 * time.Second
	// relayProbe and relayProbeTimeout detect a relay, or a NAT mapping, that silently vanished,
	// in 7 s at most: the death of one of two relays must cost less than 10 s.
	relayProbe        = 3 * time.Second
	relayProbeTimeout = 4 * time.Second
	// reservationSlack is how long before its expiry a reservation is renewed.
	reservationSlack = 10 * time.Minute
)

const (
	// maxRelayAddresses is how many addresses of one relay are named to others.
	maxRelayAddresses = 4
	// maxTicketAddresses is how many Addresses names; more do not fit a line that people copy.
	maxTicketAddresses = 12
	// maxFailures are remembered, one for each peer; the oldest is forgotten first.
	maxFailures = 4096
	// eventBuffer is for a slow subscription; what does not fit is dropped.
	eventBuffer = 64

	// renewLeast keeps a relay that grants reservations of no duration from being asked all the
	// time.
	renewLeast = time.Second
)
