// Package exec is the SuperExec: it asks a Runtime API for tasks, runs an app process for
// each, and sees to it that both sides know the truth about that process.
//
//	        acquire-task          installation of the FAB        process ends            report-exit
//	(host) ─────────────► claimed ───────────────────► running ─────────────► exited ─────────────► forgotten
//	                         │ nobody else installs       │ the host ended the task,
//	                         ▼ it, or the claim expires   ▼ or we shut down
//	                      forgotten                    stopping: SIGTERM, then SIGKILL ──► exited
//
// Guarantees: a task that is ended by its host has no process left within the grace of
// limits.go; the end of a process is reported as soon as the kernel tells it, at least
// once, and again by the successor if need be; a token is never in an argument list, and
// its file goes when its process has ended. What runs is written down ([record]) before it
// starts, so a SuperExec that is killed at any moment loses no app: the next one on the
// same data folder takes the apps back.
//
// It works with the Runtime API of a SuperLink and of a SuperNode, of Rhizome and of stock
// Flower. Stock has no held requests (then it is asked once a second) and none of our own
// routes (then a stopped app ends as it does under a stock SuperExec).
//
// It is not responsible for what a task means, for retrying one, or for deciding how many
// tasks a host offers at once.
package exec
