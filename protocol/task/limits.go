package task

import "time"

const (
	// ClaimLimit is how long an executor may take from the claim to the app's first
	// pull-task-input. The value is Flower's; it covers the start of a Python process that
	// imports a large framework from a cold disk.
	ClaimLimit = 30 * time.Second
	// HeartbeatLimit is how long a running app may be silent. The value is Flower's: apps send a
	// heartbeat every 17.5 to 22.5 s, so two may get lost.
	HeartbeatLimit = 60 * time.Second
	// tokenBytes is the strength of a token and, since it is written in hexadecimal, half its
	// length; apps check the length.
	tokenBytes = 128
)
