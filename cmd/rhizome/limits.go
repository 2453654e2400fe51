package main

import "time"

const (
	// readyLimit is how long a daemon may take to serve; on a busy machine with cold disk
	// caches 5 s were seen.
	readyLimit = 30 * time.Second
	// stopGrace is how long a daemon gets between SIGTERM and SIGKILL: it stops its
	// SuperExec, which stops the apps, each with a grace of its own.
	stopGrace = 15 * time.Second
	// flwrStop is how long the stock CLI gets to end after an interrupt.
	flwrStop = 5 * time.Second

	// maxRememberedLine bounds the part of a line that is kept until its end arrives; the lines
	// that a demo looks for are short.
	maxRememberedLine = 4 << 10
	// maxJoinFile bounds what is read of a file with a ticket in it, which has a few hundred bytes.
	maxJoinFile = 64 << 10
)
