// Package sqldb is how Rhizome keeps state in SQLite: one file in WAL mode with
// synchronous=FULL, migrated at open, with one writer that commits in groups.
//
// It guarantees:
//   - What [DB.Write] reports as done is on disk (fsync). Jobs that wait at the same time
//     share one transaction, and therefore one fsync; each has a savepoint of its own, so the
//     failure of one does not affect the others.
//   - Jobs run one at a time, and each sees the effects of those before it. What a job read
//     or decided is reported only after the commit that makes it true.
//   - A file that is damaged, or was written by a newer version, is refused with instructions
//     and left as it is. Nothing is ever deleted just to get going.
//   - Statements are prepared once per connection, however they are executed.
//
// It is not responsible for keeping other processes away (package datadir), or for
// retrying: an error means that nothing the job did has taken effect.
package sqldb
