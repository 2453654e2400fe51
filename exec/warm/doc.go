// Package warm starts app processes as forks of a process that has already imported what
// they need: the executor that makes a ClientApp start in milliseconds.
//
// A cold start of flwr-clientapp takes a second of CPU, nearly all of it for imports. A fork
// server (forkserver.py) has already done them. It preloads flwr and numpy and, for an app that
// ran before, every installed module that the app was seen to import, remembered by FAB hash.
// Modules of the app itself are never preloaded, so a changed app is always read anew. The fork
// for the next app is made when the previous one has ended, and waits for its request.
//
//	         first use            ready                 package folder changed, evicted
//	(none) ───────────► loading ─────────► serving ──────────────────────────────► closed
//	                       │ lost, unsafe     │ lost
//	                       └──────────────────┴──────► backing off (cold starts) ──► (none)
//
// What an app can observe is the same as in a fresh process: arguments, environment, working
// directory, standard descriptors, signal handlers, seeds of global generators, exit status.
// Nothing is preloaded for an app that sets environment variables, since its modules may read
// them when they are imported, and no app is forked from a process with threads that the fork
// would lack. If anything about a warm start fails, the app is started cold; nothing is lost but
// time.
//
// It works on Linux; elsewhere fork is not safe with the system's own libraries, and every
// start is cold.
package warm
