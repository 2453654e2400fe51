package main

import "time"

const (
	// readyLimit is how long a daemon may take until it serves; on a busy machine with cold disk
	// caches, 5 s were seen.
	readyLimit = 30 * time.Second
	// stopGrace is how long a daemon gets between SIGTERM and SIGKILL: it stops its
	// SuperExec, which stops the apps, each with a grace of its own.
	stopGrace = 15 * time.Second
	// flwrStop is how long the stock CLI has to end after an interrupt.
	flwrStop = 5 * time.Second

	// maxRememberedLine bounds the part of a line that is kept until its end arrives; the lines
	// that the demo looks for are short.
	maxRememberedLine = 4 << 10
	// maxJoinFile bounds what is read of a file with a ticket in it; a ticket has a few hundred bytes.
	maxJoinFile = 64 << 10

	// A link keeps finished runs for as long as anybody is likely to ask about them, and no more of
	// all runs than fits on a small disk: logs and contexts for defaultKeepRuns and within
	// defaultKeepBytes, and, of the objects that no message needs any more, a few rounds of a large
	// model.
	defaultKeepRuns  = 90 * 24 * time.Hour
	defaultKeepBytes = 10e9
	defaultKeepSpare = 8 << 30
)
