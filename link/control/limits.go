package control

const (
	// maxFAB is Flower's own bound of an app bundle, checked by flwr build, flwr run and a
	// stock SuperLink.
	maxFAB = 10 << 20
	// maxStartRun has room for a bundle that is too large, which must be read to be
	// answered as a stock SuperLink does, and for the overrides.
	maxStartRun = 2*maxFAB + 1<<20

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
