package launch

import "time"

const (
	// readyLimit is how long a SuperExec may take to get ready: it opens files and may ask a
	// Python interpreter for its scripts folder.
	readyLimit = 40 * time.Second

	// stopLimit is how long a SuperExec may take to end its apps (a second of grace for
	// each, all at once), to report them (2 s), and to wait for one that hangs in the kernel.
	stopLimit = 15 * time.Second

	// The pause before a SuperExec that died is started again: short at first, then growing,
	// and reset after it has run for steadyAfter.
	restartFirst = 500 * time.Millisecond
	restartMost  = 30 * time.Second
	steadyAfter  = time.Minute

	// secretBytes is the strength of a secret that a host makes for its own SuperExec.
	secretBytes = 32

	// maxLog is the size above which the log of a SuperExec is set aside at its next start. It
	// writes a few lines a day unless something is wrong.
	maxLog = 4 << 20

	// maxReadyLine and maxWords bound what is read from a SuperExec: the line that says that it is
	// ready, and its last words; in a traceback, the reason comes at the end.
	maxReadyLine = 4 << 10
	maxWords     = 4 << 10

	// ownedStop bounds the stop of an owned SuperExec: it asks its apps to end, kills them after
	// their grace period, and reports their ends.
	ownedStop = 10 * time.Second
)
