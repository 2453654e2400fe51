// Package messages is the office through which all messages of a node pass. It takes in offered
// messages, leases them to ClientApps, has them answered, and delivers the replies until
// they are confirmed. It uses the same words as the office of a SuperLink.
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
// It guarantees that a message is reported as accepted only once the message, all of its
// objects and its app's bundle are on disk; that no message is being taken in twice at the
// same time; that the number of messages under way is bounded; that once DropRun has returned,
// nothing of the run is fetched or accepted any more; and that every leased message is answered,
// either by its app or on its behalf.
//
// No task and no bundle is handed out unless the site's policy (package policy) has allowed
// that very bundle for that run. The policy is asked when a message is taken in, when it is leased, and
// when its ClientApp asks for the bundle, and decides once for each run, bundle and policy. What a
// run is cannot change after its first message: an offer that contradicts it is declined for good.
//
// Fetches outlive the session that offered the message: if the session moves to a better
// path, they do not start over.
//
// It is not responsible for what a message must look like (package protocol/message), for
// how objects travel (package p2p/objects), or for frames and requests (packages session
// and apps), and it has no state of its own that could be lost in a kill: what is durable is in
// package state.
package messages
