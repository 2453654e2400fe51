// Package session is the node's end of `/rhizome/session/1`: one long-lived stream to the
// SuperLink on which messages come in and replies go out.
//
//	          Hello sent                Welcome
//	(stream) ───────────► greeting ───────────────► open ──► (end: stream lost, silence, Bye, Refused)
//	                          │ Refused, silence
//	                          └──────────────────────────► (end)
//
// What a message means is settled in the office (package messages). The two know each other
// only by one interface in each direction:
//
//	link ── Offer, ReplyAck, Cancel ──► Client ── Office: TakeIn, Confirm, DropRun ──► messages.Office
//	link ◄── Accept, Decline, Reply ─── Client ◄── messages.Link: Accept, Decline ─────┘    │
//	                                           ◄── Office.Deliver calls back with replies ──┘
//
// The Client is made first, without an office; the office is made with the Client as its
// Link; each session is served on behalf of the office. Between sessions the Client keeps
// only those reports that the next session would not find out by itself.
//
// A session has no memory of its own. What must survive it is in package state; a new
// session begins with an inventory of that. Either side may therefore lose the stream at any
// moment: offers that were not accepted come again, replies that were not confirmed are
// sent again, and both are harmless.
//
// It guarantees that an Accept is sent only for what is on disk, that a reply is sent in
// every session until it is confirmed, and that once a Cancel has been handled, nothing of its
// run is left. Bytes count as a sign of life: a link is called silent only if neither frames
// nor objects came for several heartbeats.
//
// It is not responsible for connecting and for trying again (package p2p), for what becomes
// of messages (package messages), or for giving work to apps (package apps).
package session
