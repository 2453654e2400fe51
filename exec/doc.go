// Package exec is the SuperExec: it asks a Runtime API for tasks, runs an app process for
// each, and makes sure that both sides know the truth about that process.
//
//	        acquire-task          installation of the FAB        process ends            report-exit
//	(host) ─────────────► claimed ───────────────────► running ─────────────► exited ─────────────► forgotten
//	                         │ nobody else installs       │ the host ended the task,
//	                         ▼ it, or the claim expires   ▼ or we shut down
//	                      forgotten                    stopping: SIGTERM, then SIGKILL ──► exited
//
// Guarantees: a task that is ended by its host has no process left after the grace period of
// limits.go; the end of a process is reported as soon as the kernel announces it, at least
// once, and again by the successor if need be; a token is never in an argument list, and
// its file is removed once its process has ended. What runs is written down ([record]) before
// it starts, so a SuperExec that is killed at any moment loses no app: the next one on the
// same data folder takes the apps back.
//
// It works with the Runtime API of a SuperLink and of a SuperNode, of Rhizome and of stock
// Flower. A stock host does not hold requests (it is then asked once a second) and has none of
// our own routes (a stopped app then ends as it does under a stock SuperExec).
//
// It is not responsible for what a task means, for retrying one, or for deciding how many
// tasks a host offers at once.
package exec
