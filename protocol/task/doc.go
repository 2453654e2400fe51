// Package task is the vocabulary of a task's life, which a SuperLink (one primary task a
// run), a SuperNode (one ClientApp task a message) and a SuperExec share: its states, how it
// can end, its tokens and its deadlines.
//
//	           claim (token issued)      activate (first pull-task-input)        finish
//	pending ───────────────────────► starting ───────────────────────► running ──────────► finished
//	   ▲                                │ ClaimLimit without activation   │ HeartbeatLimit      (completed|failed|stopped)
//	   └────────────────────────────────┘ (token dropped, pending again)  └ without a sign of life: finished:failed
//
// A host that knows that a process is gone, and that another may do its work, requeues the
// task: back to pending from starting or running. A host that was down itself extends first,
// since nobody could show life meanwhile.
//
// A task can finish from every unfinished state, with one exception: completed only from
// running. Finishing revokes the token, so tokens die with their task. Only the SHA-256 of a
// token is kept: whoever reads the database cannot act as an app.
//
// It is not responsible for keeping tasks (internal/tasktable) nor for the processes that do
// them (package exec).
package task
