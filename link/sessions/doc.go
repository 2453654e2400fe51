// Package sessions holds the sessions of a SuperLink with its SuperNodes: it pushes
// instructions, takes in replies, and knows which nodes are there.
//
// Guarantees:
//   - A message counts as delivered only when the node has said that it is on its disk; a
//     reply is acknowledged only when it and its objects are on the link's disk.
//   - After a loss everything is offered again until it is accepted, answered or unwanted:
//     both sides compare their inventories when a session begins, and every frame may come
//     twice.
//   - One session per peer: a new one replaces the old one, which has ended entirely before
//     the new one begins.
//   - A slow node is not a dead one: any byte that arrives from it is a sign of life.
//
// The life of a node as its sessions make it:
//
//	           Hello                      lost, silent
//	offline ───────────► online (session) ─────────────► online (grace) ─────► offline
//	   ▲                    │      ▲                          │     grace over
//	   └────────────────────┘      └──────────────────────────┘
//	      Bye                              Hello
//
// Only at the right end, or after Bye, is the ServerApp told that the node is unavailable.
//
// The package is not responsible for who is a member (it asks), for the state machine of
// messages (package link/state), nor for moving objects (package p2p/objects).
package sessions
