package keeping

import "time"

const (
	// retainPause is how long after the end of a run the older ones are looked at: by then its
	// objects are released, and runs that end together cost one look.
	retainPause = time.Second
	// spareEvery is how often spare objects of unfinished runs are looked at, and spareAge how long
	// ago an object must have been registered to count as spare: the message that needs it is stored
	// milliseconds later, and a ServerApp reads a reply as soon as it is told of it.
	spareEvery = 30 * time.Second
	spareAge   = 2 * time.Minute
	// maxFinishing is how many finished runs are cleaned up at once.
	maxFinishing = 4
)
