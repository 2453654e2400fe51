// Package node is a SuperNode: it takes work from one SuperLink over the overlay and has it
// done by ClientApps on this machine.
//
//	SuperLink ══ session, objects ══► messages ──► state ──► apps ◄── HTTP ── SuperExec, ClientApps
//	          ◄══ replies, objects ══ messages ◄── state ◄────┘
//
// The parts are packages of their own: session (the stream to the SuperLink), messages (the
// office that takes offers in and delivers replies), state (everything that must survive a
// kill), apps (the Runtime API), appconfig (what an app is told) and policy (whether the site
// lets it run). This package opens them in order, joins the federation, follows announcements
// of runs, and reports the state of it all.
//
// It guarantees that a node which is stopped or killed and started again on the same data
// directory is the same node and continues its work: with the same peer id, node id and
// Runtime API port, and without being told again to whom it belongs.
//
// It is not responsible for the life of app processes (package exec) or for reaching the
// SuperLink (package p2p). It opens no port to other machines for Flower's APIs: the
// Runtime API is on loopback.
package node
