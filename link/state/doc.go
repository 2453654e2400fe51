// Package state is the durable state of a SuperLink: runs, tasks, messages, nodes, members.
// [Store] is the interface; package sqlite below it the embedded implementation.
package state
