package message

import (
	"math"
	"time"
)

// checkInstructionTime: an instruction must have a life, and some of it must be left.
func checkInstructionTime(r Routing, now time.Time) error {
	if err := checkTime(r); err != nil {
		return err
	}
	switch {
	case r.TTL <= 0:
		return broken(RuleLifetime, "its time to live is %v s", r.TTL)
	case !now.IsZero() && r.CreatedAt+r.TTL <= float64(now.Unix()):
		return broken(RuleLifetime, "it has expired (time to live %v s)", r.TTL)
	}
	return nil
}

// checkReplyTime takes a time to live below zero: a node whose clock is ahead computes what
// is left of the instruction's life. Only the sum counts, which has the link's clock in it.
func checkReplyTime(r Routing) error { return checkTime(r) }

// checkTime is written so that it also refuses what is no number.
func checkTime(r Routing) error {
	switch {
	case !(r.CreatedAt >= earliest):
		return broken(RuleCreatedAt, "it was created at %v, before Flower was", r.CreatedAt)
	case !(r.CreatedAt <= latest):
		return broken(RuleCreatedAt, "it was created at %v, which is no time", r.CreatedAt)
	case math.IsNaN(r.TTL) || math.IsInf(r.TTL, 0):
		return broken(RuleLifetime, "its time to live is %v", r.TTL)
	case math.Abs(r.CreatedAt+r.TTL) > latest:
		return broken(RuleLifetime, "its time to live is %v s, which is no time", r.TTL)
	}
	return nil
}
