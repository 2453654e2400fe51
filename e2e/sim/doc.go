// Package sim simulates a SuperLink and its SuperNodes under virtual time, with crashes, cuts
// and delays at every point, thousands of times.
//
// What is real: the link's session server (link/sessions) with its SQLite store, the node's
// session client, office of messages, SQLite store and the host that apps talk to, and the
// object stores of both. What is simulated: the network (delays, cuts that both ends hear
// of, cuts that only one does, lines that swallow), the transfer of objects between the
// stores (slow, failing, but asked of the real authorities of both sides), apps that take
// their time and die, and crashes. A crash happens between two steps of a process or right
// before it writes a frame: the process's successor gets a copy of the database files as they
// were in that instant, and nothing that the old process does afterwards counts.
//
// After each simulation these must hold:
//   - an instruction gets at most one reply, and asking again gives the same one;
//   - a reply that the link has acknowledged is delivered to the ServerApp, once;
//   - a node starts nothing for a run of which it was told that it has ended;
//   - the id of a node never changes;
//   - when the faults end, everything settles: no instruction of a run that goes on is
//     without an answer, and nodes keep nothing of what is over.
//
// The faults come from a seed that a failure prints; RHIZOME_SIM_SEED repeats it. The order
// in which goroutines run at the same virtual instant is the scheduler's.
package sim
