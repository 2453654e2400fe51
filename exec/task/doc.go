// Package task is the life of a task: the table, the tokens and the expiry rules that a
// SuperLink (one primary task a run) and a SuperNode (one ClientApp task a message) share.
//
//	           Claim (token issued)      Activate (first pull-task-input)        Finish
//	pending ───────────────────────► starting ───────────────────────► running ──────────► finished
//	   ▲                                │ ClaimLimit without Activate     │ HeartbeatLimit      (completed|failed|stopped)
//	   └────────────────────────────────┘ (token dropped, pending again)  └ without a sign of life: finished:failed
//
// A host that knows that a process is gone, and that another may do its work, calls Requeue:
// back to pending from starting or running. A host that was down itself calls Extend first,
// since nobody could show life meanwhile.
//
// Finish is allowed from every unfinished state, with one exception: completed only from
// running. Finish revokes the token, so tokens die with their task. Tokens are kept as
// SHA-256 only: whoever reads the database can not act as an app.
//
// The package works inside the caller's transaction, so that a task and what belongs to it
// (a reply, a context, a run) change together or not at all.
//
// It is not responsible for starting processes (package exec) nor for waking waiters: the
// callers ring after their commit.
package task
