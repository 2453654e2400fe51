package control

import "github.com/rhizome-fl/rhizome/protocol/fab"

const (
	// maxStartRun has room for a bundle that is too large, which must be read to be
	// answered as a stock SuperLink does, and for the overrides.
	maxStartRun = 2*fab.MaxSize + 1<<20

	// defaultRuns is how many runs a list has if the client does not say.
	defaultRuns = 20
	// maxRuns bounds one list: 500 bytes a run.
	maxRuns = 10_000
	// federationRuns is how many runs `flwr federation ls NAME` shows.
	federationRuns = 100
	// maxLocation has room for two numbers with all digits that a float has.
	maxLocation = 64
	// maxName bounds what an operator may call a node.
	maxName = 256
)
