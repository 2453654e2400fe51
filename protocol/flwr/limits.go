package flwr

import "time"

const (
	// MaxFAB is Flower's own bound of an app bundle, checked by flwr build, flwr run and a
	// stock SuperLink.
	MaxFAB = 10 << 20
	// MaxControlBody holds StartRun with the largest FAB and its overrides. A FAB that is
	// a little too large must still be read, to be answered as a stock SuperLink does.
	MaxControlBody = 2*MaxFAB + 1<<20
	// MaxBody of every other message without object content. The largest is push-messages
	// of a ServerApp to 10,000 nodes: 300 bytes of metadata each, and a tree with 65 bytes
	// for each object of the model.
	MaxBody = 256 << 20
	// MaxObject is the most that clients can take in one response: protobuf lengths are
	// int32 in all of them.
	MaxObject = 1<<31 - 1 - maxObjectHead
	// maxObjectHead bounds what surrounds the content in a push-object request.
	maxObjectHead = 4 << 10
	// MaxFrame of a stream, which clients enforce.
	MaxFrame = 1<<31 - 1
	// MinGzip is the body size from which compression is worth its CPU.
	MinGzip = 1 << 10

	// KeepAlive is how often a held request gets an interim response. Clients give up
	// after 30 s without a byte; a third of that survives two that are late.
	KeepAlive = 10 * time.Second
)
