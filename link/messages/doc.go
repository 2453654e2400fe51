// Package messages is a SuperLink's office for messages: instructions and replies go through it,
// whatever road they came by. It uses the same words as the office of a node.
//
//	link/apps      (Runtime API) ── take in ──►┐                ┌── lease, deliver ── link/sessions
//	               answer, confirm ◄───────────┤ Office ► state ├── lease, deliver ── link/stock
//	                                           └────────────────┘◄──── answer ────── (both)
//
// The life of an instruction, by the names of its states:
//
//	       TakeIn        last object         Lease               Deliver
//	(new) ───────► gathering ───────► waiting ──────► leased ─────────────► delivered
//	        │                            ▲               │                      │
//	        └── nothing is missing ─────►├─── Release ───┘                      │
//	                                     ├─────────────── Release ──────────────┘
//
// A message becomes visible to its receiver when all of it is on disk. Answer takes a reply,
// which is gathering until its objects are there, and then waiting; from then on the instruction
// counts as delivered. Confirm removes both. GiveUp, the end of their run and the end of their
// lifetime take them out of any state.
//
// What the package guarantees:
//   - A reply is judged by one function and one rulebook (package protocol/message): the
//     same reply gets the same [Verdict] on every road.
//   - A reply counts only for the node that its instruction was given to.
//   - A reply that was taken is not lost because of anything that follows it.
//   - Objects are registered for the run before anything else, so that none of them is
//     removed while the message is on its way. Every step may be repeated; after a crash
//     [Office.Resume] continues from what is on disk.
//
// It is not responsible for what a message must look like (package protocol/message), for frames
// and requests (the roads), nor for what is durable (package link/state).
package messages
