// Package tasktable keeps tasks in SQLite: the transitions that are drawn in package task,
// each as one function that works inside the caller's transaction, so that a task and what
// belongs to it (a reply, a context, a run) change together or not at all. The stores of a
// SuperLink and a SuperNode both embed it.
//
// It guarantees that a task only ever moves as drawn, and that of two callers that
// make the same move, one is told that it came too late.
//
// It is not responsible for waking those that wait for a task: the callers ring after their
// commit.
package tasktable
