package control

import "github.com/rhizome-fl/rhizome/protocol/fab"

const (
	// maxStartRun has room for the overrides and for a bundle that is too large: that has to be
	// read before it can be answered as a stock SuperLink answers it.
	maxStartRun = 2*fab.MaxSize + 1<<20

	// defaultRuns is how many runs a list has if the client does not say.
	defaultRuns = 20
	// maxRuns bounds one list; a run takes 500 bytes.
	maxRuns = 10_000
	// federationRuns is how many runs `flwr federation ls NAME` shows.
	federationRuns = 100
	// maxLocation has room for two numbers with every digit that a float has.
	maxLocation = 64
	// maxName bounds the name that an operator gives a node.
	maxName = 256
)
