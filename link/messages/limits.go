package messages

import "time"

const (
	// fetchPauseFirst and fetchPauseMost bound the pause between attempts to fetch a reply
	// while the session lives: a path that was lost is often there again at once, and a
	// node that has trouble must not be asked all the time.
	fetchPauseFirst = 500 * time.Millisecond
	fetchPauseMost  = 15 * time.Second
	// noteEvery is how often it is noted on disk what came of a reply that takes longer: so
	// much is sent again after a crash of the link. Small replies need no such note.
	noteEvery = time.Second
)
