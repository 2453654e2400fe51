package object

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ErrMalformed: the bytes are not the byte form of an object.
var ErrMalformed = errors.New("malformed object")

// Header is what an object's byte form says about itself.
type Header struct {
	Type     string
	Children []string // ids of the distinct direct children, nil if there are none
	BodyLen  int64    // bytes
}

// Build makes the byte form of an object and its id. Children must be valid and distinct.
func Build(typ string, children []string, body []byte) (content []byte, id string, err error) {
	h := Header{Type: typ, Children: children, BodyLen: int64(len(body))}
	if err := h.check(); err != nil {
		return nil, "", fmt.Errorf("build object: %w", err)
	}
	content = append(h.appendTo(nil), body...)
	return content, Sum(content), nil
}

// Parse reads the header at the start of an object's byte form. bodyAt is where the body
// starts; it is up to the caller to compare the length of the body with BodyLen.
func Parse(content []byte) (h Header, bodyAt int, err error) {
	end := bytes.IndexByte(content[:min(len(content), maxHeader+1)], 0)
	if end < 0 {
		return Header{}, 0, fmt.Errorf("%w: no header", ErrMalformed)
	}
	parts := strings.Split(string(content[:end]), " ")
	if len(parts) != 3 {
		return Header{}, 0, fmt.Errorf("%w: header of %d parts instead of 3", ErrMalformed, len(parts))
	}
	h.Type = parts[0]
	if parts[1] != "" {
		h.Children = strings.Split(parts[1], ",")
	}
	if h.BodyLen, err = parseLen(parts[2]); err != nil {
		return Header{}, 0, err
	}
	if err := h.check(); err != nil {
		return Header{}, 0, err
	}
	return h, end + 1, nil
}

// parseLen accepts only the canonical decimal form of a length: no sign, no leading zero.
func parseLen(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%w: body length %.40q", ErrMalformed, s)
	}
	return int64(n), nil
}

func (h Header) check() error {
	if len(h.Type) == 0 || len(h.Type) > maxTypeLen || strings.ContainsAny(h.Type, " \x00") {
		return fmt.Errorf("%w: type %.80q", ErrMalformed, h.Type)
	}
	if h.BodyLen < 0 || h.BodyLen > math.MaxInt64-maxHeader {
		return fmt.Errorf("%w: body length %d", ErrMalformed, h.BodyLen)
	}
	for _, id := range h.Children {
		if err := CheckID(id); err != nil {
			return fmt.Errorf("%w: child: %w", ErrMalformed, err)
		}
	}
	if ids := slices.Sorted(slices.Values(h.Children)); len(slices.Compact(ids)) != len(h.Children) {
		return fmt.Errorf("%w: a child is named twice", ErrMalformed)
	}
	return nil
}

// appendTo appends the header, including the zero byte that ends it.
func (h Header) appendTo(b []byte) []byte {
	b = append(b, h.Type...)
	b = append(b, ' ')
	b = append(b, strings.Join(h.Children, ",")...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, h.BodyLen, 10)
	return append(b, 0)
}
