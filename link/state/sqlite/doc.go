// Package sqlite is the embedded implementation of state.Store: one SQLite file.
//
// All writes go through the group commit of package sqldb. What a write changes in memory (the board
// of open instructions, the bell, the next deadline) changes after its commit and in the order of the
// commits.
//
// The board exists because of one question that is asked far more often than anything changes: which
// of these 10,000 instructions are answered? The board answers it without SQL. The rows remain the
// truth: what the board names is read from them.
//
// The SQL keeps to what PostgreSQL has too, except for types, upserts and a few expressions that are
// kept in one place (json_each and unhex over lists of ids).
package sqlite
