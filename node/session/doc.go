// Package session is the node's end of `/rhizome/session/1`: one long stream to the
// SuperLink on which work comes in and answers go out.
//
//	          Hello sent                Welcome
//	(stream) ───────────► greeting ───────────────► open ──► (end: stream lost, silence, Bye, Refused)
//	                          │ Refused, silence
//	                          └──────────────────────────► (end)
//
// A session has no memory of its own. What must survive it is in package store; a new
// session begins with an inventory of that, so that either side may lose the stream at
// any moment: offers that were not accepted come again, answers that were not
// acknowledged are sent again, and both are harmless.
//
// It guarantees that an Accept is sent only for what is on disk, that an answer is sent
// in every session until it is acknowledged, and that when a Cancel was handled nothing
// of its run is left. Bytes count as life: a link is called silent only if neither frames
// nor objects came for several heartbeats.
//
// It is not responsible for connecting and for trying again (package p2p), for fetching
// (package intake), nor for giving work to apps (package appio).
package session
