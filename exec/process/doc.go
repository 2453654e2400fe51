// Package process names processes so that they can be found again: after the program that
// started them has died, by the program that takes its place.
//
// A process id alone is no name, since the kernel gives it to the next process. An
// [Identity] adds when the process was started and in which boot of the machine, so it
// never means a stranger. Waiting works for processes that are not our children; it is
// pushed by the kernel where that is possible (pidfd on Linux) and looked up once a second
// elsewhere.
//
// How a process ended (task.Exit) is read here too, from what the kernel tells; it tells
// that to the parent only, so of any other process the exit status stays unknown.
//
// It is not responsible for starting processes.
package process
