package admission

import "time"

// Connections and resources.
const (
	// DefaultMaxPeers of a hub or relay host. Idle, a member costs 60 to 90 KiB, so this is
	// below half a gigabyte.
	DefaultMaxPeers = 4096
	// DefaultMaxLeafPeers: a SuperNode knows its link, some relays, and the members that it
	// exchanges objects with.
	DefaultMaxLeafPeers = 512
	// connsPerPeer: relayed and direct in both directions, while one replaces the other,
	// and the races of dialling several transports at once.
	connsPerPeer = 16
	// streamsPerPeer: a session, gossip, control requests, and parallel chunks of objects.
	streamsPerPeer = 1024
	// streamsPerService that one peer may have open at one service: half of all, so that no
	// service, whatever its own bound, takes the room that the session needs.
	streamsPerService = 512
	// memoryPerPeer bounds what the muxer may buffer for one peer: eight transfers of the
	// widest window (16 MiB) that a 100 ms line at 1 Gbit/s asks for.
	memoryPerPeer = 128 << 20
	// memoryShare is the part of this machine's memory that buffers of all peers together
	// may take. yamux then stops widening windows; it does not drop connections.
	memoryShare = 8
	// minMemory keeps a 512 MiB board in business.
	minMemory = 128 << 20

	// connsPerAddress bounds the connections of one IPv4 address, or IPv6 /56, at a
	// time. A hospital has all its nodes behind one address, so it is far above what a
	// site has, and below transientConns: one address cannot fill the anteroom. A host that
	// is to have more peers has more of both.
	connsPerAddress = 3000
	// newConnsPerAddress and burstPerAddress: 1,000 nodes behind one address come back at
	// once after their link restarted, each by TCP, QUIC and a relay.
	newConnsPerAddress = 200
	burstPerAddress    = 3000
	// transientConns are connections in their handshake; libp2p ends one after 15 s.
	transientConns = 4096
)

// The lobby, where peers are that may only join.
const (
	// lobbyPeers may be there at a time. A peer that joins has its place for milliseconds, and one
	// that finds none comes again.
	lobbyPeers = 512
	// addressGuests bounds the guests of one IPv4 address, or IPv6 /56, that have shown no ticket:
	// half of the lobby, so that one address cannot fill it. As each can be displaced after
	// leastTime, 204 places become free in a second. That is more than newConnsPerAddress, so that
	// a peer finds one even during a flood from its own address.
	addressGuests = 256
	// relayGuests bounds the guests of one relay that have shown no ticket. This host does not see
	// the addresses behind a relay, so the relay counts as the address. It gets more places than an
	// address does, since it carries whole sites, but not all of them, so that peers that come
	// directly find a place while strangers crowd a relay.
	relayGuests = 384
	// leastTime is what a silent guest has before another may take its place: enough for identify
	// and the request to join, on a line with a round trip of half a second.
	leastTime = 1250 * time.Millisecond
	// silentTime is what a guest has for showing a ticket before it must go. The slowest line needs
	// three round trips of a second each, and the doctor observes for up to 7 s.
	silentTime = 8 * time.Second
	// lobbyTime is what a guest that has shown a ticket has for its join, over the slowest line.
	lobbyTime = 20 * time.Second
	// refusedTime is for hearing so through a relay: four round trips on a slow line.
	refusedTime = 4 * time.Second
	// lobbyStreams that one such peer may open at a time: identify and a join, twice.
	lobbyStreams = 4
	// negotiateTime for the protocol of a stream in the lobby.
	negotiateTime = 10 * time.Second
)
