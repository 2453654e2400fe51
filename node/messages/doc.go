// Package messages takes offered messages in: it fetches what a message needs, checks that
// its app may run here, and makes the node responsible for an answer.
//
//	            objects and bundle fetched     bundle trusted and readable
//	Start ────► fetching ────────────────────► checking ──────────────────► accepted
//	               │ gives up (link away,          │ not trusted, broken
//	               │ disk full, run cancelled)     ▼
//	               ▼                            answered with error 7
//	           declined: offered again later
//
// It guarantees that a message is reported as accepted only when the message, all of its
// objects and its app's bundle are on disk; that a message is never taken in twice at a
// time; that at most a bounded number is under way; and that after CancelRun returned
// nothing of the run is fetched or accepted any more.
//
// Fetches outlive the session that offered the message: a session that moves to a better
// path does not start them over.
//
// It is not responsible for how objects travel (package p2p/objects) nor for telling the
// SuperLink (package session).
package messages
