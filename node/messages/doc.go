// Package messages is the office that all messages of a node pass through. It takes offered
// messages in: it fetches what a message needs, checks that its app may run here, and makes
// the node responsible for a reply; and it delivers replies until they are confirmed.
//
//	session                     office                            state
//	Offer ────── TakeIn ──────► fetches, checks ────────────────► gathering, then waiting
//	Accept ◄──── Link.Accept ──┘ (or Link.Decline)                leased to a ClientApp, answered
//	Reply ◄───── Deliver ────── again until it is confirmed ◄──── answered
//	ReplyAck ─── Confirm ─────► forgets ────────────────────────► confirmed
//	Cancel ───── DropRun ─────► ends fetches, forgets ──────────► (gone)
//
// An offer on its way in:
//
//	             objects and bundle fetched     bundle trusted and readable
//	TakeIn ────► fetching ────────────────────► checking ──────────────────► accepted
//	                │ gives up (link away,          │ not trusted, broken
//	                │ disk full, run dropped)       ▼
//	                ▼                            answered with error 7
//	            declined: offered again later
//
// It guarantees that a message is reported as accepted only when the message, all of its
// objects and its app's bundle are on disk; that a message is never taken in twice at a
// time; that at most a bounded number is under way; and that after DropRun has returned
// nothing of the run is fetched or accepted any more.
//
// Fetches outlive the session that offered the message: a session that moves to a better
// path does not start them over.
//
// It is not responsible for how objects travel (package p2p/objects) nor for telling the
// SuperLink (package session), and it has no state of its own that a kill could take: what
// is durable is in package state.
package messages
