package message

import "time"

// Runtime is how long a ClientApp says that it has worked. A value that is not a duration counts
// as zero: this is a statistic, for which no reply is refused.
func Runtime(seconds float64) time.Duration {
	if !(seconds > 0 && seconds < maxRuntime) {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}
