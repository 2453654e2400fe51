package exec

import "time"

const (
	// DefaultMaxApps bounds the number of app processes at one time unless the user says otherwise.
	// A host decides how much it offers (a node by its slots); this only keeps a faulty host
	// from starting processes without end. A process of a numpy app takes about 60 MB.
	DefaultMaxApps = 64

	// pollInterval is the least time between two acquire-task requests if the first brought
	// nothing: a stock Runtime API answers at once, and a stock SuperExec asks once a second.
	pollInterval = time.Second

	// quietLimit is how long a held request may be silent. A host that holds one sends an
	// interim response every 10 s; three missing ones mean that the connection is dead.
	quietLimit = 35 * time.Second

	// callLimit bounds requests that nobody holds.
	callLimit = 30 * time.Second

	// maxAnswer bounds an answer of the Runtime API. The largest one that we read is a Task.
	maxAnswer = 1 << 20

	// retryFirst and retryMost bound the pause between two attempts to reach the host. The
	// values are those of stock clients.
	retryFirst = time.Second
	retryMost  = 20 * time.Second

	// stopGrace is how long an app may take to end itself before it is killed. "flwr stop"
	// has to take effect within 2 s on every node, so most of that goes to the app.
	stopGrace = time.Second

	// deadTokenGrace is how long an app may live on after its host says that its token is
	// no longer valid. That is normal for an app which has delivered its result and is on its
	// way out; in that time a stock app removes its own environment.
	deadTokenGrace = 10 * time.Second

	// killLimit is how long we wait for a killed process to vanish. Only one that hangs in
	// the kernel (a dead network file system) takes longer, and nothing can be done then.
	killLimit = 10 * time.Second

	// installWait is how long a claimed task may wait for another app to install the same
	// FAB. The claim expires after 30 s; then the host offers the task again.
	installWait = 25 * time.Second

	// partingLimit bounds the last requests for one app, taken together, of a SuperExec that is
	// shutting down. Whatever is not reported by then is reported by the successor.
	partingLimit = 2 * time.Second

	// maxBatchLines and maxBatchBytes bound one push-logs request, and maxQueuedBytes what waits
	// for it. An app that prints faster than its host takes lines loses some; a line in its output says so.
	maxBatchLines  = 500
	maxBatchBytes  = 256 << 10
	maxQueuedBytes = 1 << 20

	// maxDetail is how much of an app's last line goes into a report, in bytes.
	maxDetail = 300

	// maxIdleConns connections are kept for the next requests, each no longer than idleConnLimit.
	// Two stay open for each app (held request, log lines), mostly on loopback.
	maxIdleConns  = 4
	idleConnLimit = time.Minute
)
