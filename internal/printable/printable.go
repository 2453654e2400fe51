// Package printable makes strangers' text fit to be shown in a line of a terminal, a log or a
// table.
//
// It guarantees that nothing which its functions return can end a line, move a cursor, change
// colours or the direction of text, or be longer than was asked for. It does not judge
// what words say, and it is not responsible for HTML, which its template escapes.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line turns a text into one line: each character that cannot be shown counts as a space, and
// any run of spaces becomes one. If the text has more than most characters, only its
// beginning is kept, followed by three dots; a most of 0 means no limit.
func Line(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return r == ' ' || !unicode.IsPrint(r)
	}), " ")
	if short := head(text, most); most > 0 && len(short) < len(text) {
		return short + "..."
	}
	return text
}

// Name turns what somebody calls themselves into a name: without characters that cannot be
// shown, without spaces around it, and no longer than most characters.
func Name(text string, most int) string {
	return head(strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)), most)
}

// Is tells whether a text can be shown as it is.
func Is(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// head returns the first characters of a text.
func head(text string, most int) string {
	n := 0
	for i := range text {
		if n == most {
			return text[:i]
		}
		n++
	}
	return text
}
