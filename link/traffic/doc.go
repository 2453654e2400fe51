// Package traffic counts the content bytes that a SuperLink moves for each run, over sessions or
// the Fleet API, and adds them to the run's statistics.
//
// It guarantees that each byte is added at most once, and that counting a block costs no
// transaction: whoever moves objects says when a message is done. A [Meter] has no more entries
// than there are runs that objects may be moved for: unfinished ones, and finished ones that some
// node has not noticed.
//
// It is not responsible for the statistics themselves (package link/state), and bytes that were not
// yet added when the link is killed are not counted.
package traffic
