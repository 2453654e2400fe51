package state

import "time"

const (
	// MaxMessages bounds the unanswered messages on this node. A ServerApp sends a node a few
	// at a time; the bound keeps a broken one from filling the disk with metadata.
	MaxMessages = 10_000
	// MaxRuns bounds the runs for which the node holds state at a time.
	MaxRuns = 1_000
	// MaxAttempts is how often a message is given to a process before the node answers
	// that it cannot be worked on. It ends the loop of an app that takes the machine down
	// each time, and is high enough for a message that suffers several restarts.
	MaxAttempts = 10

	// keptMessages is how many confirmed messages of a run keep their objects. The model
	// of an evaluate message is also that of the next train message, which comes one or two
	// messages later, and must not be sent again.
	keptMessages = 3
	// keptSeries bounds the contexts of run series to which no run here belongs. Each may
	// hold megabytes of app state, and most series never come back.
	keptSeries = 100
	// resumeGrace is how long a process from before a restart may take to show a sign of life.
	// It covers an app's heartbeat interval and its longest pause between retries.
	resumeGrace = 60 * time.Second
	// maxReason bounds the reason why an app may not run, which may quote a SuperLink.
	maxReason = 1 << 10
	// collectBatch bounds how many objects are removed under one lock, so that messages
	// that arrive in the meantime wait only for milliseconds.
	collectBatch = 64
)
