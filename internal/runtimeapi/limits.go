package runtimeapi

import "time"

const (
	// maxHold ends a held acquire-task or pull with whatever there is, so that a client that
	// vanished without closing its connection is noticed at its next request at the latest.
	maxHold = 10 * time.Minute
	// storePause is the pause between two attempts to store what an app cannot keep itself: about
	// as long as between two pushes of an app's lines, and no burden for a full disk.
	storePause = 500 * time.Millisecond
	// maxLogs is how much of one push-logs request is kept, counted from its end. Apps push what
	// they have printed within 0.2 s, but all of that comes in a single request.
	maxLogs = 4 << 20
	// lastWordsLimit is how long after the end of its task an app's lines are accepted. A
	// SuperExec gives the process 10 s to leave and then sends what is left within 2 s.
	lastWordsLimit = 15 * time.Second
	// maxLastWords bounds the tokens of ended tasks: enough for 64 processes that end every second.
	maxLastWords = 1024
	// maxExitBody bounds the JSON of a report-exit: a line of detail.
	maxExitBody = 64 << 10
	// maxToken is 256 hexadecimal digits; a longer header is not looked up.
	maxToken = 256

	// A signed acquire-task is accepted from 5 s in the future, for clocks that differ, to
	// 305 s in the past; its nonce is remembered for as long. These are Flower's numbers.
	signatureSkew = 5 * time.Second
	signatureAge  = 305 * time.Second
	// maxNonce is more than twice what a SuperExec sends, 32 hexadecimal digits.
	maxNonce = 80
	// maxNonces bounds what is remembered; a SuperExec asks at most a few times a second.
	maxNonces = 100_000
)
