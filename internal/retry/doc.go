// Package retry is how Rhizome tries again: with pauses that grow, until it succeeds or a
// context ends.
//
// A [Pause] spaces attempts in a loop of the caller's, who decides what is worth another
// attempt and what counts as success. [Do] is the loop for work that must not be given up,
// such as keeping a promise to disk when the disk is full. [Sleep] is the one function that
// waits for time to pass or for a context to end, whichever comes first.
//
// It guarantees that no pause is longer than its bound, that many callers that fail at
// the same moment do not all come back at the same moment, and that nothing here outlives its
// context. It is not responsible for telling a lasting failure from a passing one.
package retry
