// Package chaos ends processes of a running federation in every way that a crash can, and
// expects the same result as from an undisturbed run.
//
// A relay, a link that can only be reached through it, and nodes run a test app whose weights
// depend on nothing but its settings. kill -9 hits daemons, SuperExecs, fork servers and
// ClientApps; daemons are started again on the same data folders. Afterwards the weights must
// be equal to the last bit, and no process may be left, nor any file that does not belong there.
//
// All randomness comes from a seed, which is printed; RHIZOME_CHAOS_SEED repeats it. The order
// in which the machine schedules processes cannot be repeated, so a seed gives the same faults
// but not the same interleaving. `make test` runs a sample, and `make chaos` (RHIZOME_CHAOS=1)
// runs everything.
package chaos
