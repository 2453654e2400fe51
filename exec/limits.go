package exec

import "time"

const (
	// DefaultMaxApps bounds the app processes at one time unless the user says otherwise.
	// A host decides how much it offers (a node by its slots); this only keeps a host that
	// errs from starting processes without end. A process of a numpy app takes about 60 MB.
	DefaultMaxApps = 64

	// pollInterval is the least time between two acquire-task requests of which the first
	// brought nothing: a stock Runtime API answers at once, and stock asks once a second.
	pollInterval = time.Second

	// quietLimit is how long a held request may be silent. A host that holds one sends an
	// interim response every 10 s; three missing mean that the connection is dead.
	quietLimit = 35 * time.Second

	// callLimit bounds requests that nobody holds.
	callLimit = 30 * time.Second

	// maxAnswer bounds an answer of the Runtime API. The largest that we read is a Task.
	maxAnswer = 1 << 20

	// retryFirst and retryMost bound the pause between two attempts to reach the host. They
	// are those of stock clients.
	retryFirst = time.Second
	retryMost  = 20 * time.Second

	// stopGrace is how long an app may take to end itself before it is killed. "flwr stop"
	// is to be true within 2 s on every node, so most of that goes to the app.
	stopGrace = time.Second

	// deadTokenGrace is how long an app may live on when its host says that its token is
	// no longer valid. That is the normal state of an app which has delivered its result
	// and is on its way out; stock removes the app's own environment in that time.
	deadTokenGrace = 10 * time.Second

	// killLimit is how long we wait for a killed process to vanish. Only one that hangs in
	// the kernel (a dead network file system) takes longer, and nothing can be done then.
	killLimit = 10 * time.Second

	// installWait is how long a claimed task may wait for another app to install the same
	// FAB. The claim expires after 30 s, then the host offers the task again.
	installWait = 25 * time.Second

	// partingLimit is how long the last requests of a SuperExec that shuts down may take
	// altogether for one app. What is not told by then is told by the successor.
	partingLimit = 2 * time.Second

	// maxBatchLines and maxBatchBytes bound one push-logs request, maxQueuedBytes what waits
	// for it. An app that prints faster than its host takes lines loses lines, and is told.
	maxBatchLines  = 500
	maxBatchBytes  = 256 << 10
	maxQueuedBytes = 1 << 20

	// maxDetail is how much of an app's last line goes into a report, in bytes.
	maxDetail = 300

	// maxIdleConns are kept for the next requests, and each of them no longer than idleConnLimit.
	// Two stay open for each app (held request, log lines), most of them on loopback.
	maxIdleConns  = 4
	idleConnLimit = time.Minute
)
