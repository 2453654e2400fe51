package message

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// A tree that takes 15 MB on the wire and would take a gigabyte in memory is refused at no more
// than the cost of looking at it.
func TestARefusalCostsNoMemory(t *testing.T) {
	const size = 15 << 20
	l := newReply()
	raw := l.raw(t)
	for name, tt := range map[string]struct {
		raw, tree []byte
		want      Rule
		most      uint64 // bytes that may be allocated
	}{
		"empty nodes":    {raw, emptyNodes(size), RuleTree, 1 << 20},
		"distinct ids":   {raw, distinct(size), RuleTree, 48 << 20},
		"the same id":    {raw, repeated(size), RuleRoot, 1 << 20},
		"small fields":   {smallFields(maxRaw), l.wire(t), RuleFields, 1 << 20},
		"too large":      {smallFields(size), l.wire(t), RuleSize, 1 << 20},
		"too large tree": {raw, repeated(maxTree + 100), RuleSize, 1 << 20},
	} {
		before := allocated()
		_, err := ParseReply(tt.raw, tt.tree, Answered{Instruction: theInstruction(), Node: node})
		took := allocated() - before
		if got := ruleOf(t, err); got != tt.want {
			t.Errorf("%s: rule %q (%v), want %q", name, got, err, tt.want)
		}
		if took > tt.most {
			t.Errorf("%s: %d bytes were allocated; at most %d are allowed", name, took, tt.most)
		}
	}
}

func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

// emptyNodes is a tree of children without a name, at two bytes each.
func emptyNodes(size int) []byte {
	tree := make([]byte, 0, size)
	for len(tree) < size {
		tree = append(tree, 0x12, 0)
	}
	return tree
}

// distinct is a tree with as many names as fit.
func distinct(size int) []byte {
	tree := make([]byte, 0, size)
	for n := uint64(0); len(tree) < size; n++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
		tree = appendChild(tree, hex.EncodeToString(sum[:]))
	}
	return tree
}

func repeated(size int) []byte {
	tree := make([]byte, 0, size)
	for len(tree) < size {
		tree = appendChild(tree, record)
	}
	return protowire.AppendString(protowire.AppendTag(tree, fieldTreeID, protowire.BytesType), record)
}

func appendChild(tree []byte, name string) []byte {
	child := protowire.AppendString(protowire.AppendTag(nil, fieldTreeID, protowire.BytesType), name)
	return protowire.AppendBytes(protowire.AppendTag(tree, fieldTreeChildren, protowire.BytesType), child)
}

func smallFields(size int) []byte {
	raw := make([]byte, 0, size)
	for len(raw) < size {
		raw = append(raw, 0x78, 1)
	}
	return raw
}
