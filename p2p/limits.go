package p2p

const (
	// maxMemberStreams is how many streams of members, all together, a listener has open: each
	// is a connection of HTTP, of which a flwr command uses two.
	maxMemberStreams = 1024
	// memberStreams of one member, since a proxy has as many connections of local programs
	// (package tunnel).
	memberStreams = 256
)
