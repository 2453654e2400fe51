// Package apps is a SuperLink's side of the Runtime API: what a ServerApp and the link's
// SuperExec ask for, answered from the durable state.
//
// It guarantees that whatever it has answered is on disk, that every call may be repeated (a
// client that lost an answer asks again), and that nobody polls: a call that has nothing to say
// yet waits until something has changed. Calls of an app whose task was ended by somebody else
// fail at once with 401 code 1008, so that the app exits.
//
// It is not responsible for HTTP (package internal/runtimeapi) nor for moving messages to nodes
// (package link/sessions).
package apps
