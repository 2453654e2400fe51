// Package sqldb is how Rhizome keeps state in SQLite: one file in WAL mode with
// synchronous=FULL, migrated at open, with one writer that commits in groups.
//
// It guarantees:
//   - What [DB.Write] reports as done is on disk (fsync). Jobs that wait at the same time
//     share one transaction and so one fsync; each has a savepoint of its own, so that the
//     failure of one does not touch the others.
//   - Jobs run one at a time, and each sees the effects of those before it. What a job read
//     or decided is reported only after the commit that makes it true.
//   - A file that is damaged, or written by a newer version, is refused with instructions
//     and left as it is. Nothing is ever deleted to get going.
//   - Statements are prepared once a connection, whatever way they are executed.
//
// It is not responsible for keeping other processes away (package datadir), nor for
// retrying: an error means that nothing of the job has happened.
package sqldb
