// Package state is the durable state of a SuperNode: what it accepted and owes an answer
// for, the contexts of run series, the tasks of its ClientApps, the replies that the
// SuperLink has not acknowledged, and who it is.
//
// A message (an instruction of a ServerApp to this node) goes through these states:
//
//	     AddOffer        Accept                Claim               Finish, Fail          Ack
//	───────────► offered ───────► queued ───────────────► working ──────────► answered ──────► done
//	                │                ▲                       │                   ▲
//	                │                └───────────────────────┘                   │
//	                │                Requeue: its process was lost with us       │
//	                └── Reject: the app can not or must not run here ────────────┘
//
//	DropRun removes all messages of a run, whatever their state.
//
// It guarantees:
//   - What a method reports as done is on disk; after a kill at any moment the next Open
//     finds a state from before or after each call, never between.
//   - A queued message stays until it is answered or its run is dropped.
//   - A message has at most one answer: the first that Finish, Fail or Reject makes final.
//     The answer, the end of the task and the new context of the series are one fact.
//   - Tasks of one run series are worked on one after the other, so that each starts from
//     the context that the one before has left. Otherwise runs take turns.
//   - An object is removed only when nothing here refers to it any more.
//
// It is not responsible for fetching objects (package intake), for talking to the SuperLink
// (package session) or to apps (package appio).
package state
