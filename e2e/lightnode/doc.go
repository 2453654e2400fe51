// Package lightnode imitates SuperNodes, many in one process, to find out how many a
// SuperLink can serve: for benchmarks and tests of scale.
//
// A light node is real on the wire: it has an identity and a libp2p host of its own, joins
// with a ticket, holds a session, fetches every object of an instruction that it lacks,
// accepts, and replies with the same content at once. It has no disk, no Runtime API and no
// apps: what it accepts does not survive it, so it is of no use outside tests.
package lightnode
