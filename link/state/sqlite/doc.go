// Package sqlite is the embedded implementation of state.Store: one SQLite file.
//
// All writes go through the group commit of package sqldb. What a write changes in
// memory (the board of open instructions, the bell, the next deadline) happens after its
// commit and in the order of the commits.
//
// The board exists because of one question that is asked far more often than anything
// changes: which of these 10,000 instructions are answered? It says so without SQL. The
// rows stay the truth: what the board names is read from them.
//
// The SQL keeps to what PostgreSQL has too, but for a few expressions that stand in one
// place (json_each and unhex over lists of ids), types and upserts.
package sqlite
