// Package daemon is the chassis on which everything stands that runs until it is stopped:
// SuperLink, SuperNode, SuperExec, relay and proxy.
//
//	Open    step ──► step ──► step        an error closes what is open, last opened first
//
//	Run     edge parts    what takes work in: the SuperExec, a listener for strangers
//	        inner parts   what the edge needs while it finishes: stores, sessions, APIs
//	           │
//	           │ the context ends, or a part fails
//	           ▼
//	        edge parts are stopped ──► all have returned ──► inner parts are stopped ──► all have returned
//
//	Close   closers, last opened first
//
// It guarantees this order, that nothing of a daemon runs once Run has returned, and that an
// error names the step or the part it came from. A stop is no error, and only the first failure
// is reported: those that follow are its consequences.
//
// It is not responsible for how long a part takes to stop (each part bounds that itself), nor
// for recovering from a panic: a daemon that lost its footing is started again by whoever
// started it, and continues from what is on disk. It knows nothing of Flower or the overlay.
package daemon
