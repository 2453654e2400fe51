package sqldb

import "time"

// Micro converts a time to the form in which it is stored: Unix microseconds, and 0 for the zero time.
func Micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicro returns the time, in UTC, that [Micro] converted to us.
func FromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
