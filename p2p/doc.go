// Package p2p is the overlay: it makes two parties of a federation reach each other
// whatever stands between them, and keeps everybody else out.
//
// # What it guarantees
//
//   - A peer is who its id says: every connection is secured by TLS or Noise with the keys
//     that package identity keeps.
//   - A peer that the [Gate] calls [Joining] can use nothing but the join protocol, and
//     learns nothing about its host but a key and the peer's own address; one that it calls
//     [Refused] is cut off after the handshake. Both hold below all protocols, in the swarm
//     (package admission), so that a protocol which forgets to ask is protected too.
//   - [Host.Keep] gets a stream to its target over the first of all known addresses that
//     works, moves it to a direct path once there is one, and starts anew after any loss.
//   - Nothing is ever sent to an endpoint that the user did not configure: no DHT, no
//     bootstrap peers, and AutoNAT only with relays and members.
//
// # Who does what on a connection
//
//	leaf                          relay                         hub
//	  │                             │ ◄─── reserve (TCP) ─────── │   reserve.go
//	  │ ── direct addresses ────────┼──────────────────────────► │   dial.go: all at once,
//	  │ ── connect, circuit ──────► │ ─────────────────────────► │   first one wins
//	  │ ◄────── hole punch (DCUtR), started by the hub ────────► │   punch.go
//	  │ ════ stream on the relayed path, then on the direct ═══► │   keep.go
//
// # What it is not responsible for
//
// Who is a member (the gate's word), what is said in a stream and whether the peer at its end is
// alive (the session pings; [Host.Keep] acts on the error), serving as a relay (p2p/relay),
// objects (p2p/objects), announcements (p2p/gossip).
package p2p
