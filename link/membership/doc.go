// Package membership decides who may do what at a link: who is a member and in which role, who
// is let in with a ticket, and who is no longer a member.
//
//	ticket made ──► shown by a peer ──► Join ──► member with the role of the ticket
//	                                             member ──► removed, finally
//	peer allowed by the operator ──────► Add ──► member
//
//	gate of the overlay ──► Admit    requests of operators and observers ──► Only
//
// It answers from memory, since the overlay asks about every connection and stream, and keeps
// that memory in step with the store. It guarantees that nobody is told "you are in" before the
// gate and the relays would let them in, and that by the time a removal returns, the peer's
// connections are cut.
// connections are cut.
// It is not responsible for proving who a peer is (the transport does), for carrying the
// question (package p2p), nor for telling relays (package p2p/relay): it only says when they must
// be told.
package membership

import "github.com/rhizome-fl/rhizome/internal/logs"

var log = logs.For("link/membership")
