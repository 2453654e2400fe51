// Package join is how a peer becomes a member of a federation: one question and one answer,
// /rhizome/join/1, and the role that a member has.
//
//	peer ── Request{token, secret, name} ──► link: its [Handler] decides, and makes it a member
//	     ◄─ Answer: role, name, federation,
//	        or refused: for ever, or for now
//
// It guarantees that a name which could forge a line of a log or a table reaches neither side,
// that what a link says is fit for a terminal, and that a stranger learns nothing about the link's
// own troubles beyond the fact that it may try again.
//
// It is not responsible for who may join (the handler decides, by the link's members and tickets),
// how a peer that may only join is held down meanwhile (package admission), or the way to the
// link ([Asker], implemented by package reach). Tickets are in package ticket below it, so that
// code which only reads one needs nothing else.
package join
