package message

import "fmt"

// Rule names a rule that a message may break.
type Rule string

// The rules, in the order in which they are applied.
const (
	// RuleSize: the message or its tree has too many bytes.
	RuleSize Rule = "size"
	// RuleFields: it has too many fields.
	RuleFields Rule = "fields"
	// RuleNesting: it is nested deeper than Python's protobuf reads.
	RuleNesting Rule = "nesting"
	// RuleReadable: it is not a message.
	RuleReadable Rule = "readable"
	// RuleRouting: it contradicts what is known about its route.
	RuleRouting Rule = "routing"
	// RuleCreatedAt: its sender's clock is not set.
	RuleCreatedAt Rule = "created_at"
	// RuleLifetime: its time to live is not a valid time, or has passed.
	RuleLifetime Rule = "lifetime"
	// RuleType: its type is missing or too long.
	RuleType Rule = "type"
	// RuleGroup: its group id is too long.
	RuleGroup Rule = "group"
	// RuleContent: it has both content and an error, or neither.
	RuleContent Rule = "content"
	// RuleTree: its tree of objects is malformed or too large.
	RuleTree Rule = "tree"
	// RuleRoot: its tree belongs to another message.
	RuleRoot Rule = "root"
)

// Error is why a message is refused. Sending the same message again will not change that.
type Error struct {
	Rule Rule
	err  error
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

func broken(rule Rule, format string, args ...any) error {
	return &Error{Rule: rule, err: fmt.Errorf(format, args...)}
}
