package warm

import "time"

const (
	// maxServers bounds the fork servers of one SuperExec: each holds the imports of one app,
	// 60 MB for flwr with numpy and up to 1 GB with a deep-learning framework. The least recently
	// used one goes first.
	maxServers = 3
	// loadLimit is how long a start waits for a server that is still importing before it goes
	// cold. A cold start imports the same modules, so waiting longer gains nothing.
	loadLimit = 20 * time.Second
	// answerLimit bounds the time from request to fork; a fork takes 5 ms, or 100 ms for a process
	// of 10 GB. A server that takes longer is stuck in a library's fork handler.
	answerLimit = 5 * time.Second
	// stopLimit is how long a server may take to end by itself once its socket is closed.
	stopLimit = 2 * time.Second
	// backOff is how long starts are cold after a server was lost: an environment in which no
	// server can live then costs one attempt a minute.
	backOff = time.Minute
	// maxEvent bounds one event line; the longest names the modules that failed to import.
	maxEvent = 1 << 20
	// maxLearned bounds the file of learnt modules: 10,000 names.
	maxLearned = 1 << 20
	// maxLearnedFiles bounds how many apps are remembered, at up to 100 kB each.
	maxLearnedFiles = 200
)
