// Package reach gets a host to its peers, whatever stands between them, and keeps it there.
//
// # What it guarantees
//
//   - [Manager.Keep] gets a stream to its target over the first of all known addresses that
//     works, moves it to a direct path once there is one, and starts anew after any loss.
//   - A host with relays holds a reservation at each, and is told by which addresses it can
//     currently be reached.
//   - A path that died without a word is detected within seconds; slow is not dead.
//   - It dials nobody but targets, relays on the way to them, and members to whom it punches
//     holes, and tells the host's addresses to members only.
//
// # Who does what
//
//	Manager ─┬─ keeper ── dialer      keep.go, ask.go, dial.go   streams to targets
//	         ├─ reservations          reserve.go                 to be reached through relays
//	         ├─ puncher               punch.go                   direct paths beside relayed ones
//	         ├─ prober                probe.go, rtt.go           who is alive, and how far away
//	         ├─ ranker, Intents       rank.go, intents.go        what is dialled first, and whom at all
//	         └─ traffic, paths        traffic.go, paths.go       what is known of the ways
//
// Only the Manager knows all of them; the others take what they need from a libp2p host and
// from each other. The Manager takes libp2p's host, since reserving, punching and mDNS are
// libp2p's and want all of it.
//
// # What it is not responsible for
//
// Who is a member and what a refusal is (package admission), how bytes travel on a connection
// (package transport), what is said in a stream and whether the peer at its end is alive: serve
// functions find that out, and [Manager.Keep] acts on their error.
package reach
