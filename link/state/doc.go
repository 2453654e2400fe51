// Package state is the durable state of a SuperLink: runs, tasks, messages, nodes, members.
// [Store] is the interface; package sqlite below it is the embedded implementation, and
// package statetest the suite that every implementation has to pass.
//
// A run has one primary task, whose states (drawn in package task) are the run's. An
// instruction is a message of a ServerApp to a node:
//
//	             MarkComplete          LeaseInstructions             MarkDelivered
//	(Gathering) ─────────────► (Waiting) ───────────► (Leased) ───────────────► (Delivered)
//	                               ▲                      │                          │
//	                               ├──────────────────────┘ lease ends, Unlease      │
//	                               └─────────────────────────────────────────────────┘ Unlease
//
// An instruction leaves every state by ConfirmReply (with its reply), by the end of its lifetime,
// by DropMessages and by the end of its run. A reply is Gathering until its objects are there, then
// Waiting; the first complete reply is the only one. Reading a reply does not change it: the
// ServerApp gets it again until it confirms.
//
// What the package guarantees:
//   - A method that returns without an error has its effect on disk. One that returns an
//     error has none.
//   - The bell rings after the commit: whoever is woken sees the change.
//   - Ids of runs, series, tasks and nodes are random, never 0 or 1, and never used twice.
//     A peer id has one node id, forever.
//
// It does not hold objects (package p2p/objects), only which run needs which of them, and it has no
// timers: somebody has to call Expire when the deadline that it named comes.
package state
