// Package stock is the Fleet API of a SuperLink: it lets unmodified flower-supernode
// processes take part over plain HTTP. They poll, and know no sessions; Rhizome's own
// nodes do not use it (package link/sessions).
//
// What it guarantees:
//
//   - Only the holder of a registered key speaks for its node, and nobody who overheard a
//     request can use its signature for another one.
//
//   - A message is the node's when the node has confirmed it, not when it was asked for.
//     Until then a node that pulls again gets the same message; one that starts again gets
//     everything that it owes, since it has lost its memory:
//
//     pull-messages          confirm            push-messages, last push-object
//     waiting ─────────────────► leased ─────────► delivered ─────────────────► answered
//     ▲   node is silent, or    │                   │
//     ├─────────────────────────┘                   │
//     └─────────────────────────────────────────────┘ activate-node
//
//   - Nobody polls for nothing: a pull is held until there is a message.
//
//   - It never stops a SuperNode by mistake. A stock SuperNode leaves for good on 401, on 500
//     and on most of 4xx; whatever may pass is 503, on which it tries again, signed anew.
//
//   - Every request may be repeated, since the answer to the first may be lost.
//
// It is not responsible for TLS, which the signatures need as company: they cover the time
// of a request and nothing else, so that whoever can change a request on its way can
// change it. What was seen of signatures is in memory; for 305 s after a restart of the
// link those from before could be used once more.
package stock
