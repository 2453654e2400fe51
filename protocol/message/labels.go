package message

// checkLabels bounds what apps choose freely and what appears in tables and log lines.
func checkLabels(r Routing) error {
	switch {
	case r.Type == "":
		return broken(RuleType, "it has no message type")
	case len(r.Type) > maxType:
		return broken(RuleType, "its message type has %d bytes; at most %d are allowed", len(r.Type), maxType)
	case len(r.GroupID) > maxGroup:
		return broken(RuleGroup, "its group id has %d bytes; at most %d are allowed", len(r.GroupID), maxGroup)
	}
	return nil
}
