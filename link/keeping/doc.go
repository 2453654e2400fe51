// Package keeping decides what a link still has to keep, and lets go of the rest in time: the
// deadlines of claims, messages and nodes, what a run held when it ends, objects that no
// message needs any more, and finished runs that are too old or too many.
//
//	            a deadline comes        a run ends                 it grows old
//	message ──► Deadlines ──► failed    Runs ──► objects released  Retain ──► forgotten
//	                                    (while it runs: Spare ──► objects of past rounds released)
//
// Everything here may be cut short at any moment and is done again by the next link on the same
// state: a step that was not recorded as done is found again by asking the store. Nothing is
// looked at more often than something happens, with one exception: the room on the disk has no
// bell, so spare objects are looked at twice a minute while a run is unfinished.
//
// It is not responsible for what a deadline means, nor for knowing which objects a message needs:
// the store knows that.
package keeping

import "github.com/rhizome-fl/rhizome/internal/logs"

var log = logs.For("link/keeping")
