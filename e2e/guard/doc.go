// Package guard tests from outside, with the real binary and the real flwr, what the link
// must withstand: storage that is full, damaged, old or lost, and clients that want more
// than is theirs. It has no code but its tests.
package guard
