package stock

import "time"

const (
	// A signature is accepted from 5 s in the future, for clocks that differ, to 305 s in the past.
	// These are Flower's numbers.
	signatureSkew = 5 * time.Second
	signatureAge  = 305 * time.Second
	// maxHeader bounds a header of a request's identity: the PEM of a P-521 key takes 360 bytes in
	// base64, its signature 190.
	maxHeader = 1024
	// maxSeen is how many signatures of one key are told apart. A SuperNode has three requests under
	// way at a time; only one that comes after so many later ones cannot be known to be new, and is
	// asked for again.
	maxSeen = 256
	// minSweep is how many keys are remembered before those without a living signature are swept out.
	minSweep = 1024

	// minHeartbeat and maxHeartbeat are the intervals that Flower allows.
	minHeartbeat = 10.0 // seconds
	maxHeartbeat = 1800.0
	// patience is how many intervals a node may be silent. This, too, is Flower's number.
	patience = 2
	// lifeStep is how old the last sign of life must be for the next request to be recorded as one:
	// nodes send hundreds a second, and each record is a transaction.
	lifeStep = 10 * time.Second

	// pullHold ends a held pull-messages with an empty answer. After that the client sleeps 3 s: for
	// 1 % of the time, a message has to wait.
	pullHold = 5 * time.Minute
	// objectHold is how long a pull of an object that is on its way is held before the client is told
	// to ask again.
	objectHold = 60 * time.Second
	// maxDeliveries is how often a message is given to a node that does not confirm it. The node asks
	// every 3 s and may fail for reasons of its own, such as a model that does not fit into its memory;
	// after a minute the ServerApp is told.
	maxDeliveries = 20

	// maxPush bounds push-messages, which is the tree of one reply: 14 MiB for as many objects as a
	// tree may have, and room for repeated subtrees.
	maxPush = 64 << 20
)
