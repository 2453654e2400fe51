package transport

import "time"

// Windows and patience of the muxer.
const (
	// yamuxInitialWindow is large because each chunk has a fresh stream, and yamux's own 256 KiB
	// would cost them half the speed at 100 ms (5.1 against 2.5 MB/s at 1 MiB, 19.8 against 11.4
	// at 8).
	yamuxInitialWindow = 4 << 20
	// yamuxRelayWindow is a relay's, and yamux's own default. It grows, for a peer that takes the
	// bytes, up to yamuxMaxRelayWindow: 40 MB/s at 100 ms. What a relay accepts and cannot pass on
	// is a queue ahead of every heartbeat; and it makes room again by half windows, which with 4
	// MiB takes 17 s at 1 Mbit/s.
	yamuxRelayWindow    = 256 << 10
	yamuxMaxRelayWindow = 4 << 20
	// yamuxCircuitTimeout is how long a connection through a relay may stand still: twice the time
	// that half a window, and the 64 frames of 64 KiB that yamux queues ahead of it, take at 1
	// Mbit/s. Package reach detects dead paths.
	yamuxCircuitTimeout = 2 * time.Minute
	// yamuxKeepAlive detects a dead TCP connection that nobody talks on.
	yamuxKeepAlive = 10 * time.Second
)

// Queues of a connection.
const (
	// maxUnsent bounds what waits in the kernel of a TCP connection, besides what is in flight.
	// The writer is woken when half of it has left: 2 ms at 1 Gbit/s, in which a process gets its
	// turn; 1 s at 1 Mbit/s, and still less than yamux's ten at 128 kbit/s.
	maxUnsent = 256 << 10
	// coalesceLeast always fits in one record: Go's TLS begins a connection with records of one
	// TCP segment, and reaches 16 KiB after 128 KiB.
	coalesceLeast = 1 << 10
	// coalesceMost has room for the records of one yamux frame (64 KiB and a header), each with 22
	// bytes of overhead. All connections share the buffers.
	coalesceMost = 72 << 10
)

// WebSocket.
const (
	// webSocketTimeout bounds the way through a proxy and the upgrade, as libp2p's own does.
	webSocketTimeout = 15 * time.Second
	// webSocketGoodbye is for the close frame, as with libp2p's own; then the connection is cut.
	webSocketGoodbye = 100 * time.Millisecond
)
