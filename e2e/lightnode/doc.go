// Package lightnode imitates many SuperNodes in one process, to find out how many of them a
// SuperLink can serve. It is meant for benchmarks and tests of scale.
//
// A light node is real on the wire: it has an identity and a libp2p host of its own, joins
// with a ticket, holds a session, fetches the objects of an instruction that it lacks, accepts
// the instruction, and replies with the same content at once. It has no disk, no Runtime API and
// no apps: the messages that it accepts do not survive it, so it is of no use outside tests.
package lightnode
