// Package printable makes what strangers wrote fit to be shown: in a line of a terminal, a
// log or a table.
//
// It guarantees that nothing which a function returns can end a line, move a cursor, change
// a colour or the direction of text, or be longer than was asked for. It does not judge
// what words say, and it is not responsible for HTML, which its template escapes.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line makes one line of a text: each character that cannot be shown counts as a space, and
// so does any number of spaces in a row. Of a text with more than most characters the
// beginning is kept, with three dots; 0 means all of it.
func Line(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return r == ' ' || !unicode.IsPrint(r)
	}), " ")
	if short := head(text, most); most > 0 && len(short) < len(text) {
		return short + "..."
	}
	return text
}

// Name is what somebody is called, by its own word: without the characters that cannot be
// shown, without spaces around it, and at most so many characters long.
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

// head is the first characters of a text.
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
