// Package guard tests from the outside, with the real binary and the real flwr, what the link
// must withstand: storage that is full, damaged, old or lost, and clients that want more than
// they are entitled to. It has no code but its tests.
package guard
