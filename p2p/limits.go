package p2p

const (
	// acceptBacklog of a listener whose server is slow; more streams are reset.
	acceptBacklog = 128
)
