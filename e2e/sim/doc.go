// Package sim simulates a SuperLink and its SuperNodes under virtual time, with crashes, cuts
// and delays at every point, thousands of times.
//
// These parts are real: the link's session server (link/sessions) with its SQLite store, the
// node's session client, message office, SQLite store and the host that apps talk to, and the
// object stores of both. These are simulated: the network (delays, cuts that both ends notice,
// cuts that only one end notices, lines that swallow everything), the transfer of objects
// between the stores (slow and failing, but authorized by the real code of both sides), apps
// that take their time and die, and crashes. A crash happens between two steps of a process or
// right before it writes a frame: the process's successor gets a copy of the database files as
// they were at that instant, and nothing that the old process does afterwards counts.
//
// After each simulation the following must hold:
//   - an instruction gets at most one reply, and asking again gives the same one;
//   - a reply that the link has acknowledged is delivered to the ServerApp, once;
//   - a node starts nothing for a run after it was told that the run has ended;
//   - the id of a node never changes;
//   - when the faults end, everything settles: every instruction of a run that goes on has an
//     answer, and nodes keep nothing of runs that are over.
//
// The faults come from a seed that a failure prints; RHIZOME_SIM_SEED repeats it. The order in
// which goroutines run at the same virtual instant is up to the scheduler.
package sim
