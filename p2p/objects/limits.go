package objects

import "time"

// Limits of the store.
const (
	// DefaultMaxSize of an object. Flower cuts arrays into chunks of 5 MiB, but a user may
	// set any chunk size; the disk is the real bound.
	DefaultMaxSize = 64 << 30

	// DefaultMaxWriters bounds the objects that are written at a time, and with them the
	// open files. It is more than a disk can use and far below the usual 1024 descriptors.
	DefaultMaxWriters = 128

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
	// merges those that come together into few writes of its journal.
	syncers = 16

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
