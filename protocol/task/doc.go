// Package task is the vocabulary of a task's life, shared by a SuperLink (one primary task per
// run), a SuperNode (one ClientApp task per message) and a SuperExec: a task's states, how it
// can end, its tokens and its deadlines.
//
//	           claim (token issued)      activate (first pull-task-input)        finish
//	pending ───────────────────────► starting ───────────────────────► running ──────────► finished
//	   ▲                                │ ClaimLimit without activation   │ HeartbeatLimit      (completed|failed|stopped)
//	   └────────────────────────────────┘ (token dropped, pending again)  └ without a sign of life: finished:failed
//
// A host that knows that a process is gone, and that another may do its work, requeues the
// task: from starting or running back to pending. A host that was itself down first extends the
// deadlines, since nobody could show signs of life in the meantime.
//
// A task can finish from every unfinished state, with one exception: it can only be completed
// while running. Finishing revokes the token, so tokens die with their task. Only the SHA-256
// of a token is kept, so nobody who reads the database can act as an app.
//
// It is not responsible for storing tasks (internal/tasktable) or for the processes that do
// them (package exec).
package task
