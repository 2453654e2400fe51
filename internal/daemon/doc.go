// Package daemon is the chassis of every program here that runs until it is stopped:
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
// It guarantees this order, that nothing of a daemon is still running once Run has returned, and
// that an error names the step or the part that it came from. Being stopped is not an error, and
// only the first failure is reported: those that follow are its consequences.
//
// It is not responsible for how long a part takes to stop (each part bounds that itself), or
// for recovering from a panic: a daemon that panics is started again by whoever started it, and
// continues from what is on disk. It knows nothing of Flower or of the overlay.
package daemon
