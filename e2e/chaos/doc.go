// Package chaos ends processes of a running federation in every way that a crash can, and
// wants the result of a run that nothing happened to.
//
// A relay, a link that only the relay reaches, and nodes run a test app whose weights depend
// on nothing but its settings. kill -9 hits daemons, SuperExecs, fork servers and ClientApps;
// daemons are started again on the same data folders. Afterwards the weights must be equal
// to the last bit, no process may be left, and no file but those that belong there.
//
// What is random comes from a seed that is printed; RHIZOME_CHAOS_SEED repeats it. The order
// in which the machine schedules processes is not repeated, so that a seed gives the same
// faults, not the same interleaving. `make test` runs a sample, `make chaos`
// (RHIZOME_CHAOS=1) everything.
package chaos
