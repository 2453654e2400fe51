// Package apps is the node's side of the Runtime API: it gives leased messages to ClientApp
// processes and takes their replies.
//
//	SuperExec:  acquire-task ──► (starts the process) ──────────────────────► report-exit
//	ClientApp:          pull-task-input, pull-messages, pull-object,
//	                    push-messages, push-object, push-task-output
//
// It guarantees:
//   - A task is handed out only when a slot is free and nothing else works on its run series;
//     runs take turns.
//   - Every leased message is answered: by the app's reply if the app ended its task with a
//     complete one, and by an error (code 8) if it did not, immediately if its process is known
//     to have ended and otherwise once its heartbeats fail to come. Work that was cut off together
//     with the node is done again instead.
//   - An app can reach only the run of its task: its own instruction, the objects of that
//     run, one reply.
//   - Whatever an app asks for, it may ask for again and get the same answer, until its task ends.
//
// It is not responsible for HTTP (package internal/runtimeapi), for the life of messages and
// the delivery of replies (package messages), or for what is kept (package state).
package apps
