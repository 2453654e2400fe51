// Package node is a SuperNode: it takes work from one SuperLink over the overlay and has
// ClientApps on this machine do it.
//
//	SuperLink ══ session, objects ══► intake ──► store ──► appio ◄── HTTP ── SuperExec, ClientApps
//	          ◄══ answers, objects ═══════════════ store ◄────┘
//
// The parts are packages of their own: session (the stream to the SuperLink), intake (from
// an offer to an accepted message), store (everything that must survive a kill), appio (the
// Runtime API), appconfig and trust (what an app may know, and whether it may run). This
// package opens them in order, joins the federation, follows announcements of runs, and
// tells how things stand.
//
// It guarantees that a node which is stopped or killed and started again on the same data
// directory is the same node and continues its work: with the same peer id, node id and
// Runtime API port, and without being told again whom it belongs to.
//
// It is not responsible for the life of app processes (package exec) nor for reaching the
// SuperLink (package p2p). It opens no port to other machines for Flower's APIs: the
// Runtime API is on loopback.
package node
