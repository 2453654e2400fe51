package reach

import "time"

// Reaching and keeping a peer.
const (
	// DialTimeout of one round over all addresses: a relayed handshake takes eight round
	// trips, which is 4 s on a satellite line, and packets get lost.
	DialTimeout = 10 * time.Second
	// dialAgainWithin: a dial that failed as soon as this did not fail for the network.
	dialAgainWithin = time.Second
	// tcpHeadStart before QUIC is dialled: three round trips of TCP and TLS against one and a
	// half of QUIC, on a line of 300 ms.
	tcpHeadStart = 500 * time.Millisecond
	// openTimeout for a stream on a connection that is up.
	openTimeout = 8 * time.Second
	// aliveTimeout for a ping on a connection that is left over after another one died.
	aliveTimeout = 3 * time.Second

	// measureTimeout bounds what somebody who looks at a status waits for a peer that is
	// silent; a satellite line answers in time.
	measureTimeout = time.Second
	// measureAgain keeps a status that is watched from pinging all the time.
	measureAgain = 5 * time.Second
	// maxPings at a time; a thousand peers answer in half a second.
	maxPings = 256

	// pathQuiet and pathProbeTimeout find a path that died without a word in 8 s, so that a
	// session is back 15 s after an address changed; its own heartbeats take up to 20 s. A
	// session beats every 5 to 10 s, so that it is asked once in 10 s at most. pathLook is the
	// pause where no ping came back and something else did.
	pathQuiet        = 5 * time.Second
	pathProbeTimeout = 3 * time.Second
	pathLook         = time.Second
	// pathProgress is how many bytes leave in pathProbeTimeout if a transfer gets on: more than
	// heartbeats and pings, less than the slowest line carries.
	pathProgress = 4 << 10

	// relayHeadStart is given to other relays for each path that was lost with one, up to
	// mostBlame of them: a circuit through a good one takes a second on a line of 200 ms.
	relayHeadStart = time.Second
	mostBlame      = 3

	// firstBackoff to maxBackoff bound the pauses after failed rounds, doubled each time.
	// Quick at first: most losses are a restart or a change of network.
	firstBackoff = 375 * time.Millisecond
	maxBackoff   = 10 * time.Second
	// stableAfter is how long serve must run for its peer to be treated as one that works.
	// Below it, a peer that accepts and fails at once would be dialled without pause.
	stableAfter = 5 * time.Second
	// refusalsToGiveUp end Keep: a single one can be a link that is still loading its
	// members.
	refusalsToGiveUp = 3

	// serveGrace is what a serve function has to finish a frame and say good-bye.
	serveGrace = 5 * time.Second
	// relayedLinger is how long a relayed connection stays beside a direct one: streams
	// that began on it end on it, and a direct path that dies young falls back at once.
	relayedLinger = time.Minute

	// punchTimeout of one attempt, which takes three round trips by QUIC and five by TCP: 2 s
	// are enough for a satellite line by QUIC. The third attempt is the one with swapped
	// roles; it has to be over 5 s after the session opened, and libp2p's 10 s make it 20.
	punchTimeout = 2 * time.Second
	// punchRetry is when a relayed connection tries again: NATs and addresses change.
	// Each retry is a burst of packets to a peer that probably cannot be reached.
	punchRetry = 3 * time.Minute
	// firstDirectRetry is when addresses are dialled that the peer told on the relayed path and
	// that no ticket names: of a port forward that it was observed at. Punching, which
	// mostly is done by then, does not serve a side that can send to few ports only.
	firstDirectRetry = 2 * time.Second
	// firstPunchRetry: the first attempt fails at once when the other side has not yet
	// learnt its public address, which happens within its first seconds.
	firstPunchRetry = time.Second
	// quickPunches are how many times the pause doubles from firstPunchRetry before it is
	// punchRetry: attempts within the first half minute.
	quickPunches = 4
)

// Reservations at relays.
const (
	// reserveTimeout covers connecting and the request.
	reserveTimeout = 15 * time.Second
	// reserveMaxBackoff: libp2p's autorelay waits an hour after a refusal, in which nobody
	// can reach a hub behind NAT.
	reserveMaxBackoff = 10 * time.Second
	// relayProbe and relayProbeTimeout find a relay, or a NAT mapping, that silently went, in
	// 7 s at most: the death of one of two relays is to cost less than 10 s.
	relayProbe        = 3 * time.Second
	relayProbeTimeout = 4 * time.Second
	// reservationSlack is how long before its end a reservation is renewed.
	reservationSlack = 10 * time.Minute
)

const (
	// maxRelayAddresses by which one relay is named to others.
	maxRelayAddresses = 4
	// maxTicketAddresses that Addresses names; more do not fit a line that people copy.
	maxTicketAddresses = 12
	// maxFailures that are remembered by peer, oldest forgotten first.
	maxFailures = 4096
	// eventBuffer of a subscription that is slow; what does not fit is dropped.
	eventBuffer = 64

	// renewLeast keeps a relay that gives reservations of no time from being asked all the time.
	renewLeast = time.Second
)
