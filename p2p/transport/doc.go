// Package transport is how bytes of the overlay travel on one connection: TCP and WebSocket, TLS,
// the muxer, and what is asked of the kernel. QUIC is libp2p's, unchanged.
//
// # What it guarantees
//
//   - What it makes are parts for libp2p, and to the other side they look like libp2p's own.
//   - A connection over TCP is dialled from the port that its host listens on, unless the host is
//     only joining. A WebSocket goes through the proxy that was configured for it, or the one of
//     the environment, and nothing else does.
//   - What waits on this machine for a slow line is bounded, so that heartbeats get through, and
//     a connection through a relay is given the time that a slow line beyond it takes.
//   - Hosts of one process share no state.
//
// # What it is not responsible for
//
// Which peers may connect (package admission), and when to dial whom by which address (package
// reach). It knows no host: what it must know about one, it is given as a function.
package transport
