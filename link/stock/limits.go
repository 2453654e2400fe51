package stock

import "time"

const (
	// A signature is taken from 5 s in the future, for clocks that differ, to 305 s in the
	// past. These are Flower's numbers.
	signatureSkew = 5 * time.Second
	signatureAge  = 305 * time.Second
	// maxHeader of a request's identity: the PEM of a P-521 key takes 360 bytes in base64,
	// its signature 190.
	maxHeader = 1024
	// maxSeen is how many signatures of one key are told apart. A SuperNode has three
	// requests under way at a time; only one that comes behind so many later ones is not
	// known to be new, and asked for again.
	maxSeen = 256
	// minSweep is how many keys are remembered before those without a living signature are
	// looked for.
	minSweep = 1024

	// Heartbeat intervals that Flower allows.
	minHeartbeat = 10.0 // seconds
	maxHeartbeat = 1800.0
	// patience is how many intervals a node may be silent. Flower's number, too.
	patience = 2
	// lifeStep is how old a sign of life must be for the next request to be noted as one:
	// nodes send hundreds a second, and each note is a transaction.
	lifeStep = 10 * time.Second

	// pullHold ends a held pull-messages with an empty answer. After one the client sleeps
	// 3 s, which then is 1 % of the time in which a message would have to wait.
	pullHold = 5 * time.Minute
	// objectHold is how long a pull of an object that is on its way is held before the
	// client is told to ask again.
	objectHold = 60 * time.Second
	// maxDeliveries is how often a message is given to a node that does not confirm it. The
	// node asks every 3 s and may fail for reasons of its own, such as a model that does
	// not fit its memory; after a minute the ServerApp is told.
	maxDeliveries = 20

	// maxPush bounds push-messages, which is the tree of one reply: 14 MiB for as many
	// objects as a tree may have, and room for subtrees that are repeated.
	maxPush = 64 << 20
)
