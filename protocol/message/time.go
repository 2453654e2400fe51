package message

import (
	"math"
	"time"
)

// checkInstructionTime checks that an instruction has a lifetime and that some of it is left.
func checkInstructionTime(r Routing, now time.Time) error {
	if err := checkTime(r); err != nil {
		return err
	}
	switch {
	case r.TTL <= 0:
		return broken(RuleLifetime, "its time to live is %v s, but must be positive", r.TTL)
	case !now.IsZero() && r.CreatedAt+r.TTL <= float64(now.Unix()):
		return broken(RuleLifetime, "it has expired (time to live %v s)", r.TTL)
	}
	return nil
}

// checkReplyTime accepts a negative time to live: it comes from a node whose clock is ahead and
// which computes what is left of the instruction's lifetime. Only the sum counts, and that
// contains the link's clock.
func checkReplyTime(r Routing) error { return checkTime(r) }

// checkTime is written in such a way that it also refuses NaN.
func checkTime(r Routing) error {
	switch {
	case !(r.CreatedAt >= earliest):
		return broken(RuleCreatedAt, "it was created at %v, before Flower was", r.CreatedAt)
	case !(r.CreatedAt <= latest):
		return broken(RuleCreatedAt, "it was created at %v, which is not a time", r.CreatedAt)
	case math.IsNaN(r.TTL) || math.IsInf(r.TTL, 0):
		return broken(RuleLifetime, "its time to live is %v", r.TTL)
	case math.Abs(r.CreatedAt+r.TTL) > latest:
		return broken(RuleLifetime, "its time to live is %v s, which is not a time", r.TTL)
	}
	return nil
}
