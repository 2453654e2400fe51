package state

import "time"

const (
	// MaxUnfinishedRuns bounds the runs that are pending or under way. Each is a process of tens to
	// hundreds of megabytes; the bound keeps a loop around `flwr run` from filling the disk.
	MaxUnfinishedRuns = 1_000
	// MaxInstructions bounds the unanswered instructions of one run: ten for each of 10,000 nodes.
	// It stops a ServerApp that sends and never pulls.
	MaxInstructions = 100_000
	// MaxRunObjects bounds the objects of one run; each takes about 100 bytes in the database.
	MaxRunObjects = 5_000_000
	// MaxNodes bounds nodes, unregistered ones included: a stock SuperNode without a key of its own
	// registers anew at each start.
	MaxNodes = 200_000
	// MaxMembers and MaxTokens bound what an operator's script may create by mistake.
	MaxMembers = 200_000
	MaxTokens  = 10_000
	// MaxLogBytes is how much log text of a run is kept. `flwr log` prints it all at once, and it is
	// more than a person reads.
	MaxLogBytes = 8 << 20
	// RunRowBytes is what a finished run takes besides its logs and its context, for [Retention]:
	// rows, index entries and half-filled pages, measured at 4 KiB.
	RunRowBytes = 4 << 10
	// MaxDetailBytes bounds names, locations and the like.
	MaxDetailBytes = 1 << 10

	// RestartGrace is how long tasks and nodes have to show life after the link has started: while
	// it was down, none could. It covers the longest pause of a stock client between two tries
	// (20 s) and its heartbeat interval (22.5 s).
	RestartGrace = 60 * time.Second
)
