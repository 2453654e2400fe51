package messages

import "time"

const (
	// fetchPauseFirst and fetchPauseMost bound the pause between attempts to fetch a reply while
	// the session lives: a lost path is often back at once, and a node in trouble must not be
	// asked all the time.
	fetchPauseFirst = 500 * time.Millisecond
	fetchPauseMost  = 15 * time.Second
	// noteEvery is how often the arrived objects of a reply that takes longer are recorded on disk:
	// what arrived since is sent again after a crash of the link. Small replies need no such record.
	noteEvery = time.Second
)
