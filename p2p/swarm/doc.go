// Package swarm lets the nodes of a run bring each other what goes to all of them, so that
// the link's uplink carries about one copy of a model and not one for each node. Objects
// move by package objects; this package finds out who can give which object to whom.
//
// Over streams of /rhizome/swarm/1 (swarm.proto) whoever lacks objects says so, and the other
// end tells which of them it gives, when it can:
//
//	       Offer, Peers, Shared (session)         Ask, Tell
//	[Hub] ───────────────────────────────► [Board] ◄───────── [Searcher] of another node
//	  ▲                                    (a node)
//	  └────────────── Ask, Tell ─────────── [Searcher] of the node
//
// The [Board] of a node tells of everything that it has at once, and of what comes when it has
// come. The [Hub] has everything from the start and tells nobody: it gives an object to one
// node, and to a second one only if the first does not pass it on, or cannot.
//
//	fresh ──give──► given ──Got──► held ──nobody got it for a while──► given to one more
//	  ▲               │             │
//	  └── too slow ───┴── all left ─┘
//
// What it guarantees:
//   - Only objects that the link has offered to two nodes of one run at least are asked of
//     nodes, told to nodes and given to nodes.
//   - A node deals only with peers that the link has named to it for the run, for as long as
//     the session lasts that named them, and over direct connections only.
//   - Nothing that a node says keeps another from its objects: the link gives what others
//     did not, and whoever can reach nobody gets all from the link at once.
//
// It is not responsible for moving and verifying objects and for avoiding liars (package
// objects), for who is in the federation (the session), or for what objects mean.
package swarm
