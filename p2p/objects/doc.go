// Package objects keeps content-addressed objects on disk and moves them between peers.
//
// [Dir] is the store on disk, [Server] and [Fetcher] the exchange protocol
// /rhizome/object/1 (exchange.proto), [Gatherer] the account of who waits for what.
//
// What the store guarantees:
//   - An object that Put or Commit reported as stored survives power loss: it is written
//     under a temporary name, hashed while it is written, fsynced, renamed, and the folder
//     is fsynced. Writers that wait at the same time share these steps (commit.go).
//   - Nobody reads bytes that are not the object's. What this process wrote and hashed is
//     trusted as long as the file is untouched; everything else is hashed when it is first
//     opened. A file that does not match is set aside under corrupt/ and is then missing,
//     so that it is fetched again. Verification at open and not at every read makes a model
//     that goes to a thousand nodes cost one hash instead of a thousand. The network side
//     needs no more: receivers verify what they get, and a complaint (exchange.proto,
//     Want.suspect) has the sender look at its file again.
//   - What was received of an interrupted transfer is kept over restarts and hashed again
//     when the transfer goes on.
//
// What the exchange guarantees:
//   - Bytes become an object only when they hash to its id. A peer that alone sent wrong
//     bytes is named and avoided.
//   - A transfer moves to the best path within a chunk, goes on at its offset after any
//     failure, and is given up only when for a while nobody sent anything: slow is not dead.
//   - A peer gets only what Authorize lets it have.
//
// It is not responsible for which objects are wanted and how long they are kept (link and
// node say so with Remove), for who may connect at all (package p2p), or for keeping
// addresses of peers up to date.
package objects
