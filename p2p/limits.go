package p2p

const (
	// maxMemberStreams bounds the streams of all members together that a listener has open. Each
	// is an HTTP connection, of which a flwr command uses two.
	maxMemberStreams = 1024
	// memberStreams bounds those of one member. A proxy has as many connections as there are local
	// programs using it (package tunnel).
	memberStreams = 256
)
