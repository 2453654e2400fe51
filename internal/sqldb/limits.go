package sqldb

import "time"

const (
	// maxBatchJobs bounds how many jobs share one transaction, so that the first of them
	// does not wait for ever if others keep coming.
	maxBatchJobs = 512
	// maxBatchAge bounds the same in time. It is about the cost of a few fsyncs on a slow disk;
	// waiting longer for company gains nothing.
	maxBatchAge = 25 * time.Millisecond
	// defaultReaders is how many reads run at once. Reads are short and mostly cached; more
	// connections only cost memory (each has its own page cache).
	defaultReaders = 4
	// busyTimeout is how long to wait for another process that is looking at the file, such as
	// a backup or the sqlite3 shell.
	busyTimeout = 10 * time.Second
	// writerCacheKiB is the page cache of the writing connection: object ids are random, so
	// inserting them touches pages all over two indexes.
	writerCacheKiB = 16 << 10
	// readerCacheKiB is the page cache of each reading connection; the operating system caches
	// the pages too.
	readerCacheKiB = 2 << 10
	// journalLimit is the size to which the write-ahead log is cut after a checkpoint, so
	// that one busy hour does not occupy the disk for ever.
	journalLimit = 32 << 20
	// maxStatements bounds the prepared statements of one connection. It is far more than the
	// code has; only SQL that is put together at run time could exceed it.
	maxStatements = 512
)
