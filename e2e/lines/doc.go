// Package lines tests Rhizome over bad lines: the real binary and the real flwr in the
// namespaces of internal/natlab, with a relay, a link behind a NAT, and a run of two nodes of which
// one has a fault on its line.
//
// The table of faults is in faults_test.go, each with what should become of the run. Every one
// is tried on each kind of path. Runs over different lines go on side by side in one
// federation, since all they do is wait; so they show as well that one bad line is no
// concern of others.
//
// What is asserted are outcomes: the weights of a run over good lines, to the last bit; errors
// where there should be some, and none elsewhere; the session that stays open on a line that
// is only slow. Times are logged. `make test` runs a sample of the cells, `make chaos`
// (RHIZOME_CHAOS=1) all; with RHIZOME_UPDATE_DOCS=1 it writes what it measured into
// docs/reliability.md.
package lines
