// Package process names processes so that they can be found again after the program that
// started them has died, by the program that takes its place.
//
// A process id alone is not a name, since the kernel gives it to another process later. An
// [Identity] adds when the process was started and in which boot of the machine, so it
// never denotes a stranger. Waiting also works for processes that are not our children: where
// possible the kernel notifies us (pidfd on Linux), and elsewhere the process is looked up once
// a second.
//
// How a process ended (task.Exit) is also read here, from what the kernel says; it says that
// only to the parent, so the exit status of any other process stays unknown.
//
// It is not responsible for starting processes.
package process
