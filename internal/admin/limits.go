package admin

const (
	// maxAnswer bounds what a client reads; a status of 10,000 nodes is about 5 MiB.
	maxAnswer = 64 << 20
	// maxSocketPath is what the kernel allows in sockaddr_un, minus the closing zero byte.
	maxSocketPath = 103
)
