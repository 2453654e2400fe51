// Package node is a SuperNode: it takes work from one SuperLink over the overlay and has
// ClientApps on this machine do it.
//
//	SuperLink ══ session, objects ══► messages ──► state ──► apps ◄── HTTP ── SuperExec, ClientApps
//	          ◄══ replies, objects ══ messages ◄── state ◄────┘
//
// The parts are packages of their own: session (the stream to the SuperLink), messages (the
// office that takes offers in and delivers replies), state (everything that must survive a
// kill), apps (the Runtime API), appconfig (what an app may know) and policy (the site's
// word: whether it may run). This
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
