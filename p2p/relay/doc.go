// Package relay is the circuit v2 relay of a federation: go-libp2p's service, sized for
// models, closed to all but the federations it was set up for, and able to say why it
// refused.
//
// # Who may use it
//
// The operator allows links by peer id ([Options.Links]). An allowed link vouches for its
// members over a stream of its own ([VouchProtocol]; [Members] is the link's side), so
// that nobody keeps a list by hand. From this follows everything:
//
//	                 reserve   connect to a link   connect to a member
//	allowed link       yes          yes             its own members
//	vouched member     yes          yes             members vouched for by the same link
//	stranger           no       yes, to join        no
//
// A stranger's circuit carries a join and no more: see [StrangerBytes] and [StrangerTime].
// The limits fall away at the moment its link vouches for it. A member that its link
// takes back loses its circuits before the link gets the acknowledgement, and its
// reservation with them. Open mode ([Options.Open]) drops the table above, not the limits.
//
// # What it guarantees
//
//   - A relay sees ciphertext only; both ends authenticate each other through it.
//   - Memory is bounded: two buffers of [Options.BufferSize] a circuit, and at most
//     [Limits.Circuits] of them.
//   - Every circuit belongs to one owner (the peer that is not the link; between members,
//     the one that opened it) and to one federation. Bytes of both directions count for
//     them. Where a rate binds, federations share the relay, owners share a federation
//     and circuits share an owner, each in equal parts of bytes, whatever their chunk
//     sizes: an idle one's part goes to the others.
//   - Refusals reach the client as the nearest status of circuit v2, and in words through
//     [Ask].
//
// Circuit v2 has no way to slow one stream of a peer but by not reading it, which is what
// the pacing does; it does not order what the kernel has queued in a shared socket. With
// no rate set, fairness is therefore that of the transports.
//
// Limits a circuit announces to its ends ([Limits.CircuitBytes], [Limits.CircuitTime])
// make the connection a limited one for libp2p: streams on it need
// network.WithAllowLimitedConn, and gossipsub skips it. All other limits are silent
// until they bind, so by default circuits are full connections.
//
// It is not responsible for the host, whose resource manager must let it have the memory
// and streams (see [Limits.Circuits]), nor for membership, which is the link's word, nor
// for remembering anything over a restart: links vouch again when they reconnect.
package relay
