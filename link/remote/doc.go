// Package remote is the far side of a SuperLink: what operators and observers do with a link
// that they reach only through the overlay.
//
//	flwr ──► local port ──► Proxy ══ overlay: [ControlProtocol] ══► Control API of the link
//	rhizome status ───────► Observe ══ overlay: [StatusProtocol] ═► status of the link
//
// Both join with a ticket once, and the data directory remembers the link from then on. The
// package guarantees that the local port is on loopback, since anyone who reaches it acts as the
// operator, and that a mistake in a ticket is found before anything is created for it.
//
// It is not responsible for who may do what: the link looks up the peer's role for each request.
package remote
