package keeping

import "time"

const (
	// retainPause is how long after the end of a run older ones are looked at: its objects
	// are released by then, and runs that end together cost one look.
	retainPause = time.Second
	// spareEvery is how often spare objects of unfinished runs are looked at, and spareAge how
	// long ago an object was registered that may be one: the message that needs it is stored
	// milliseconds after, and a ServerApp reads a reply at once that it was told of.
	spareEvery = 30 * time.Second
	spareAge   = 2 * time.Minute
	// maxFinishing is how many finished runs are cleaned up at once.
	maxFinishing = 4
)
