package message

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// countFields counts the fields of an encoded message and the depth of their nesting, without
// decoding it: groups, and sub-messages that the descriptor knows. Like every reader, it does
// not look into unknown fields of bytes.
func countFields(raw []byte, descriptor protoreflect.MessageDescriptor) error {
	c := counter{}
	return c.message(raw, descriptor, 0)
}

// counter walks over the wire format. depth is the level below the outermost message.
type counter struct {
	fields int
}

func (c *counter) message(b []byte, descriptor protoreflect.MessageDescriptor, depth int) error {
	if depth > maxNesting {
		return tooDeep()
	}
	for len(b) > 0 {
		number, kind, n := consumeTag(b)
		if n < 0 {
			return malformed(n)
		}
		b = b[n:]
		if err := c.field(); err != nil {
			return err
		}
		field := descriptor.Fields().ByNumber(number)
		switch {
		case kind == protowire.StartGroupType:
			n, err := c.group(b, number, depth+1)
			if err != nil {
				return err
			}
			b = b[n:]
		case kind == protowire.BytesType && field != nil && field.Message() != nil:
			inner, n := consumeBytes(b)
			if n < 0 {
				return malformed(n)
			}
			if err := c.message(inner, field.Message(), depth+1); err != nil {
				return err
			}
			b = b[n:]
		default:
			n := consumeValue(number, kind, b)
			if n < 0 {
				return malformed(n)
			}
			b = b[n:]
		}
	}
	return nil
}

// group walks to the end of a group, which is unknown along with everything in it, and returns
// how many bytes it takes.
func (c *counter) group(b []byte, number protowire.Number, depth int) (size int, err error) {
	if depth > maxNesting {
		return 0, tooDeep()
	}
	for {
		inner, kind, n := consumeTag(b[size:])
		if n < 0 {
			return 0, malformed(n)
		}
		size += n
		if err := c.field(); err != nil {
			return 0, err
		}
		switch kind {
		case protowire.EndGroupType:
			if inner != number {
				return 0, broken(RuleReadable, "it cannot be read: a group ends with the wrong number")
			}
			return size, nil
		case protowire.StartGroupType:
			if n, err = c.group(b[size:], inner, depth+1); err != nil {
				return 0, err
			}
		default:
			if n = consumeValue(inner, kind, b[size:]); n < 0 {
				return 0, malformed(n)
			}
		}
		size += n
	}
}

func (c *counter) field() error {
	if c.fields++; c.fields > maxFields {
		return broken(RuleFields, "it has more than %d fields", maxFields)
	}
	return nil
}

// The functions below are those of protowire, minus what only Go accepts: field numbers that
// do not exist, and tags and lengths longer than the five bytes that 32 bits need. Like
// protowire they return a negative size for what cannot be read.

func consumeTag(b []byte) (protowire.Number, protowire.Type, int) {
	number, kind, n := protowire.ConsumeTag(b)
	if n > maxVarint32 || number > protowire.MaxValidNumber {
		return 0, 0, notRead
	}
	return number, kind, n
}

func consumeBytes(b []byte) ([]byte, int) {
	inner, n := protowire.ConsumeBytes(b)
	if n-len(inner) > maxVarint32 {
		return nil, notRead
	}
	return inner, n
}

func consumeValue(number protowire.Number, kind protowire.Type, b []byte) int {
	if kind == protowire.BytesType {
		_, n := consumeBytes(b)
		return n
	}
	return protowire.ConsumeFieldValue(number, kind, b)
}

const (
	maxVarint32 = 5
	// notRead is not one of the codes that protowire uses.
	notRead = -1 << 10
)

func tooDeep() error {
	return broken(RuleNesting, "it is nested more than %d levels deep", maxNesting)
}

func malformed(n int) error {
	return broken(RuleReadable, "it cannot be read: %w", wireError(n))
}

func wireError(n int) error {
	if n == notRead {
		return errors.New("a tag or a length is out of range")
	}
	return protowire.ParseError(n)
}
