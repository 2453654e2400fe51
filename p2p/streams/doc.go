// Package streams is the one way in which this house serves a libp2p protocol.
//
// Whatever has a protocol of its own calls it: objects, swarm, doctor, relay, join, the
// sessions of a link, and HTTP for members ([Listen]). Each hands in the name of its
// protocol, its limits and a [Handler]. What it promises them:
//   - A Handler runs only for a stream that Options.Admit lets in, that finds a place (of its
//     peer, and of all), and that libp2p's resource manager grants to the service of the
//     protocol's name. Others are reset, or told why in the protocol's own words.
//   - A place is not held by silence: a stream has a time for its first message, for each
//     piece of what follows, or in all, as Options says.
//   - Whatever happens, the stream is over when its Handler is: closed after nil, reset after
//     an error. A panic is logged with its stack, and costs that one stream. (One on a
//     goroutine that the Handler itself has started is out of reach, as any is in Go.)
//   - A Handler's context ends with its server, and [Server.Close] returns when none runs.
//
// What it must never know: what a protocol says, who is a member (Admit is asked), and the
// host, of which it sees the two methods of [Host].
package streams
