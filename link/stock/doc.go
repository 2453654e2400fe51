// Package stock is the Fleet API of a SuperLink: it lets unmodified flower-supernode processes
// take part over plain HTTP. They poll, and know no sessions; Rhizome's own nodes do not use it
// (see package link/sessions).
//
// What it guarantees:
//
//   - Only the holder of a registered key speaks for its node, and somebody who overheard a
//     request cannot use its signature for another one.
//
//   - A message is the node's once the node has confirmed it, not once it was asked for.
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
//   - It never stops a SuperNode by mistake. A stock SuperNode exits for good on 401, on 500 and
//     on most of 4xx; whatever may pass is 503, on which it tries again, signed anew.
//
//   - Every request may be repeated, since the answer to the first may be lost.
//
// It is not responsible for TLS, without which the signatures are worth little: they cover the
// time of a request and nothing else, so that anybody who can alter a request on its way can
// change what it says. The signatures that were seen are kept in memory; for 305 s after a restart
// of the link, those from before it could be used once more.
package stock
