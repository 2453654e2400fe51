package printable

import (
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"as it is: größer, 模型":   "as it is: größer, 模型",
		" two\n  lines\r\n":      "two lines",
		"a\x1b[2Jb":              "a [2Jb",
		"right\u202eto left":     "right to left",
		"zero\u200bwidth":        "zero width",
		"\xff":                   "?",
		strings.Repeat("ä", 20):  strings.Repeat("ä", 20),
		strings.Repeat("ä", 21):  strings.Repeat("ä", 20) + "...",
		"a\x00" + "b\x7fc\u0085": "a b c",
	} {
		if got := Line(in, 20); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
	if long := strings.Repeat("x", 1000); Line(long, 0) != long {
		t.Error("0 must mean no limit")
	}
}

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		" hospital-1 ":          "hospital-1",
		"a\x1b[2Jb\nc":          "a[2Jbc",
		"\u202egnp":             "gnp",
		"\xff\xfe":              "\ufffd\ufffd",
		strings.Repeat("ä", 21): strings.Repeat("ä", 20),
	} {
		if got := Name(in, 20); got != want {
			t.Errorf("Name(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestIs(t *testing.T) {
	for in, want := range map[string]bool{
		"": true, "größer, 模型": true, "a b": true,
		"a\nb": false, "\x1b[31m": false, "\xff": false, "\u202e": false, "\x00": false,
	} {
		if got := Is(in); got != want {
			t.Errorf("Is(%q) = %t", in, got)
		}
	}
}
