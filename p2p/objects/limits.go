package objects

import "time"

// Limits of the store.
const (
	// DefaultMaxSize of an object. Flower cuts arrays into chunks of 5 MiB, but a user may
	// set any chunk size; the disk is the real bound.
	DefaultMaxSize = 64 << 30

	// DefaultMaxWriters bounds the objects that apps write at a time, and with them the
	// open files. It is more than a disk can use.
	DefaultMaxWriters = 128
	// DefaultMaxReceivers does the same for objects that come from peers: a thousand slow
	// nodes send their replies at the same time. Each has a connection as well, so the
	// descriptors of a process have to be many anyway.
	DefaultMaxReceivers = 1024

	// DefaultPartialLife is how long what was received of an object is kept when nobody
	// goes on with it: longer than a weekend without power.
	DefaultPartialLife = 72 * time.Hour

	// maxSetAside bounds the corrupt files that are kept for an operator to look at.
	maxSetAside = 16

	// maxTrusted bounds what is remembered of verified files, about 150 bytes each. Beyond
	// it a file is hashed again, nothing else.
	maxTrusted = 1 << 16

	// smallObject is read into memory and hashed before a file is made for it. Messages and
	// records are below it.
	smallObject = 64 << 10

	// maxBatch bounds the writers that share one round of fsyncs, so that the first of
	// them does not wait for an endless stream of others.
	maxBatch = 256

	// syncers is how many fsyncs of a batch are under way at a time. The file system
	// merges those that come together; more than a few only get in each other's way.
	syncers = 8

	// copyBlock is the unit of disk and network transfers: large enough that system calls
	// and hashing calls do not show, small enough to stay in cache.
	copyBlock = 128 << 10
)

// Limits of the gatherer.
const (
	// maxGathering bounds the ids that one Gatherer waits for, over all keys: ten full
	// trees, a few hundred MB at worst.
	maxGathering = 2_000_000
)

// Limits of the exchange.
const (
	// maxWants in one request. Arrays have small descriptions: a model of 160 layers is
	// asked for in a few requests and not in a round trip for each.
	maxWants = 128
	// maxRequest is maxWants of 36 bytes and their frame, with room for new fields.
	maxRequest = 16 << 10
	// maxAnswer is the head of an object, whose longest part is a detail for people.
	maxAnswer = 1 << 10
	// maxDetail of an answer.
	maxDetail = 256

	// DefaultChunk is how much one stream carries before a fresh one is opened. A fresh
	// stream goes over the best path there is, but starts with a window of 256 KiB at
	// yamux's default; at 16 MiB a line of 100 ms still does three quarters of its speed with
	// the default four streams.
	DefaultChunk = 16 << 20
	// maxChunk is what a server sends on one stream at most.
	maxChunk = 64 << 20

	// DefaultStreams to one peer at a time. Four fill a line of 100 ms where one does not,
	// since each has a window of its own.
	DefaultStreams = 4

	// DefaultPatience ends a fetch when no peer has sent anything for this long. It is
	// longer than a silent loss takes to be noticed (41 s) and a relay to come back (26 s).
	DefaultPatience = 2 * time.Minute

	// idleLimit ends a stream on which nothing moves. A peer that has nothing to send yet
	// says so every waitSign.
	idleLimit = 30 * time.Second
	waitSign  = 10 * time.Second
	// openLimit bounds the opening of a stream, dialling included.
	openLimit = 30 * time.Second
	// requestLimit bounds how long a peer takes to say what it wants.
	requestLimit = 15 * time.Second

	// firstPause and maxPause bound the pause after a failure; a peer that connects ends
	// it at once.
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second

	// lookForPath is how many bytes go over a relayed stream before it is looked whether a
	// direct connection has come up.
	lookForPath = 1 << 20

	// maxCommits are objects of one fetch that were received and are being made durable.
	// They share fsyncs, and each holds a file.
	maxCommits = 32

	// maxSources of one fetch that are asked at a time.
	maxSources = 16

	// swarmStreams to one peer of a swarm: there are several peers.
	swarmStreams = 1
	// busyPause bounds the pause after a peer of a swarm was busy. Its turn comes within an
	// object's time, and its uplink must not rest.
	busyPause = 300 * time.Millisecond
	// slowLook is how often the pace of a transfer in a swarm is looked at, and slowStart how
	// long one may take to come up to speed. After that it is taken from a source that is
	// slowFactor times slower than another that has nothing to do, or slower than slowRate
	// (bytes per second) if it is not known what that one can do.
	slowLook   = time.Second
	slowStart  = 3 * time.Second
	slowFactor = 4
	slowRate   = 256 << 10

	// maxBegunProofs are remembered, about 300 bytes each: a thousand nodes with some large
	// objects each. A peer has a few at a time, one for each stream.
	maxBegunProofs = 8192

	// maxBlamed peers are remembered, each for blameTime: long enough to keep them out of
	// a run's next rounds, short enough for a repaired one to be useful again.
	maxBlamed = 1024
	blameTime = 30 * time.Minute

	// DefaultServing is how many streams a server sends on at a time; others are queued and
	// told so. It bounds open files and buffers (128 KiB each), and is enough to fill any
	// line even when most receivers are slow.
	DefaultServing = 256
	// DefaultQueued streams wait for their turn, for ten thousand nodes that all hear of a
	// new model.
	DefaultQueued = 50_000
	// DefaultGuests are served at a time. An object that goes to two peers is there twice as
	// soon as one that goes to four, and those two help with the rest. One alone would leave
	// the line idle in between.
	DefaultGuests = 2
	// DefaultPerPeer is how many streams one peer may have at a time, queued ones included.
	// It lets several fetches of a peer go on side by side.
	DefaultPerPeer = 32

	// headBuffer holds the heads of answers, of which several may come at once; contents pass it
	// by. requestBuffer holds the request of a stream.
	headBuffer    = 16 << 10
	requestBuffer = 4 << 10
)
