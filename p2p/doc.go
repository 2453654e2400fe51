// Package p2p is the overlay: it makes two parties of a federation reach each other
// whatever stands between them, and keeps everybody else out. It only assembles its rooms,
// none of which knows it.
//
// # What it guarantees
//
//   - A peer is who its id says: every connection is secured by TLS or Noise with the keys
//     that package identity keeps.
//   - Nobody gets more of a host than the gate grants (package admission).
//   - [Host.Keep] gets a stream to its target over the best path available, and starts anew
//     after any loss (package reach).
//   - Nothing is ever sent to an endpoint that the user did not configure: no DHT, no
//     bootstrap peers, and AutoNAT only with relays and members.
//   - [Host.Close] ends everything in order of dependency: first what reaches out, then
//     libp2p and with it all connections, then the clocks of admission, and finally the
//     subscriptions to events. When it returns, no goroutine of the host is left.
//
// # Who does what on a connection
//
//	leaf                          relay                         hub
//	  │                             │ ◄─── reserve (TCP) ─────── │   reach/reserve.go
//	  │ ── direct addresses ────────┼──────────────────────────► │   reach/dial.go: all at once,
//	  │ ── connect, circuit ──────► │ ─────────────────────────► │   first one wins
//	  │ ══ may it connect, and what may it use? ═══════════════► │   admission
//	  │ ◄────── hole punch (DCUtR), started by the hub ────────► │   reach/punch.go
//	  │ ════ stream on the relayed path, then on the direct ═══► │   reach/keep.go
//
// # What it is not responsible for
//
// Who is a member (the gate decides), what is said in a stream and whether the peer at its end
// is alive (the session pings; [Host.Keep] acts on the error), serving as a relay (p2p/relay),
// objects (p2p/objects), announcements (p2p/gossip).
package p2p
