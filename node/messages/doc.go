// Package messages is the office that all messages of a node pass through. It takes offered
// messages in, leases them to ClientApps, has them answered, and delivers the replies until
// they are confirmed. Its words are those of the office of a SuperLink.
//
//	node/session                                                                          node/apps
//	Offer ──────────── TakeIn ───►┐           ┌◄── Lease, Release ─── acquire-task
//	Accept, Decline ◄─── Link ────┤           ├──── Open ───────────► pull-object
//	Reply ◄─────────── Deliver ───┤  Office   ├◄── TakeReply ──────── push-messages
//	ReplyAck ───────── Confirm ──►┤     │     ├◄── StoreObject ────── push-object
//	Cancel ─────────── DropRun ──►┘     ▼     └◄── Answer, Lost ───── push-task-output
//	                                  state
//
// The life of a message, with its states, is drawn in package state. This is how it begins:
//
//	             objects and bundle fetched     app allowed and readable
//	TakeIn ────► fetching ────────────────────► checking ──────────────────► accepted
//	                │ gives up (link away,          │ not allowed, broken
//	                │ disk full, run dropped)       ▼
//	                ▼                            answered with error 7
//	            declined: offered again later
//
// It guarantees that a message is reported as accepted only when the message, all of its
// objects and its app's bundle are on disk; that a message is never taken in twice at a
// time; that at most a bounded number is under way; that after DropRun has returned nothing
// of the run is fetched or accepted any more; and that every leased message is answered, by
// its app or for it.
//
// No task is handed out, and no bundle, unless the site's policy (package policy) has allowed
// that very bundle for that run: it is asked when a message is taken in, when it is leased, and
// when its ClientApp asks for the bundle, and decides once for each run, bundle and policy. What a
// run is cannot change after its first message: an offer that contradicts it is declined for good.
//
// Fetches outlive the session that offered the message: a session that moves to a better
// path does not start them over.
//
// It is not responsible for what a message must look like (package protocol/message), for
// how objects travel (package p2p/objects), nor for frames and requests (packages session
// and apps), and it has no state of its own that a kill could take: what is durable is in
// package state.
package messages
