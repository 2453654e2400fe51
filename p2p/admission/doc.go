// Package admission keeps anybody who was not let in out of a host, below all its protocols.
//
// # What it guarantees
//
//   - A peer that the [Gate] calls [Joining] can use nothing but joining and observing, and
//     learns nothing about its host but a key and the peer's own address; one that it calls
//     [Refused] is cut off after the handshake. Both hold in the swarm, so that a protocol which
//     forgets to ask is protected too, and identify's pushes obey it as well.
//   - A host dials nobody but members, its relays, and peers that it is reaching for.
//   - A peer that may not stay is gone after a time, and what strangers, one address or one peer
//     can take of a host is bounded. One address cannot keep others from joining.
//
// # Who asks what
//
//	libp2p ── dial, connection up ──► gater         gater.go
//	       ── stream arrives ───────► lobby         lobby.go ──► the host's protocols
//	                                      │
//	                                      └► guests   guests.go: who may wait there
//	       ── stream, memory ───────► resources     resources.go
//	reach  ── what does this error mean? ─────────► Refusal, StandingAt   refusal.go
//
// # What it is not responsible for
//
// Who is a member (the gate decides), what a join asks and answers (package join), and reaching
// anybody (package reach). It knows no host: what it must know about its peers, it asks [Peers].
package admission
