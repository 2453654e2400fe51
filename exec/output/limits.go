package output

import "time"

const (
	// maxLine is where a line is cut in two: longer lines are data, not text for people.
	maxLine = 16 << 10

	// maxFile is the size at which a log file is rotated. Together with keepOld more files it holds
	// the end of what a chatty app prints, which is the part that explains a failure.
	maxFile = 8 << 20
	keepOld = 1

	// maxRuns and maxTotal bound the logs of all runs together; the oldest go first. A
	// thousand small runs take a few MB; a few loud ones must not fill an edge device's card.
	maxRuns  = 1000
	maxTotal = 256 << 20

	// drainLimit is how long output is read after the end of the app. By then it is in the
	// pipe; the limit matters only if somebody outside its process group holds the pipe.
	drainLimit = 500 * time.Millisecond
)
