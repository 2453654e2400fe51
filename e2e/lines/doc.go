// Package lines tests Rhizome over bad lines. It runs the real binary and the real flwr in
// the namespaces of internal/natlab, with a relay, a link behind a NAT, and a run of two
// nodes, one of which has a fault on its line.
//
// The table of faults is in faults_test.go, each with what should become of the run. Every
// fault is tried on each kind of path. Runs over different lines go on side by side in one
// federation, since all they do is wait; they thereby also show that one bad line does not
// affect the others.
//
// The tests assert outcomes: the weights of a run over good lines, to the last bit; errors
// where there should be some, and none elsewhere; a session that stays open on a line that is
// only slow. Times are logged. `make test` runs a sample of the cells and `make chaos`
// (RHIZOME_CHAOS=1) runs all of them; with RHIZOME_UPDATE_DOCS=1 the latter writes what it
// measured into docs/reliability.md.
package lines
