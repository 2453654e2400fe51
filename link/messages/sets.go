package messages

import (
	"strconv"
	"strings"
)

// scope names an object of a run.
func scope(runID uint64, id string) string { return strconv.FormatUint(runID, 16) + "/" + id }

func unscope(name string) string { return name[strings.IndexByte(name, '/')+1:] }

func scoped(runID uint64, ids []string) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = scope(runID, id)
	}
	return names
}

func unscoped(names []string) []string {
	ids := make([]string, len(names))
	for i, name := range names {
		ids[i] = unscope(name)
	}
	return ids
}

// objectsOf are the objects of all the messages, each once, in the order of first mention.
func objectsOf(all []incoming) []string {
	if len(all) == 1 {
		return all[0].objects // they are already unique
	}
	seen := make(map[string]struct{})
	var ids []string
	for _, inc := range all {
		for _, id := range inc.objects {
			if _, twice := seen[id]; !twice {
				seen[id] = struct{}{}
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func setOf(ids []string) map[string]struct{} {
	set := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return set
}

func lacksAny(inc incoming, lacked map[string]struct{}) bool {
	for _, id := range inc.objects {
		if _, lacks := lacked[id]; lacks {
			return true
		}
	}
	return false
}
