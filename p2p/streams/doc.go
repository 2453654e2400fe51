// Package streams is the one way in which this house serves a libp2p protocol.
//
// Everything that has a protocol of its own calls it: objects, swarm, doctor, relay, join, the
// sessions of a link, and HTTP for members ([Listen]). Each hands in the name of its
// protocol, its limits and a [Handler]. It promises them:
//   - A Handler runs only for a stream that Options.Admit lets in, that finds a place (its
//     peer's, and overall), and that libp2p's resource manager grants to the service of the
//     protocol's name. Other streams are reset, or told why in the protocol's own words.
//   - Silence cannot hold a place: a stream has a time limit for its first message, for each
//     piece of what follows, or in all, as Options says.
//   - Whatever happens, the stream is over when its Handler is: closed after nil, reset after
//     an error. A panic is logged with its stack, and costs that one stream. (A panic on a
//     goroutine that the Handler itself has started is out of reach, as always in Go.)
//   - A Handler's context ends with its server, and [Server.Close] returns when none runs.
//
// It must never know what a protocol says, who is a member (it asks Admit), or the
// host, of which it sees only the two methods of [Host].
package streams
