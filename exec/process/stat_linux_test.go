package process

import "testing"

func TestParseStatOfHostileNames(t *testing.T) {
	tail := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"
	for _, name := range []string{"(sh)", "(a) R 1 2 (b)", "()", "( ) ) )"} {
		state, threads, ticks, err := parseStat([]byte("42 " + name + tail))
		if err != nil || state != "S" || threads != 17 || ticks != "4711" {
			t.Errorf("%s: %q %d %q %v", name, state, threads, ticks, err)
		}
	}
	for _, bad := range []string{"", "42", "42 (sh", "42 (sh) S 1 2", "42 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 x 18 4711 20"} {
		if _, _, _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
