package message

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rhizome-fl/rhizome/protocol/object"
)

// Fields of flwr.proto.ObjectTree.
const (
	fieldTreeID       = 1
	fieldTreeChildren = 2
)

// Objects lists the ids of an encoded flwr.proto.ObjectTree, each once, children before
// parents, and applies the rules for trees.
func Objects(tree []byte) ([]string, error) { return readTree(tree) }

// readTree lists the ids of an encoded tree in the order of [object.PostOrder]. The tree is
// never decoded: a node that is two bytes on the wire would be a hundred in memory.
func readTree(raw []byte) ([]string, error) {
	switch {
	case len(raw) > maxTree:
		return nil, broken(RuleSize, "its object tree has %d bytes; at most %d are allowed", len(raw), maxTree)
	case len(raw) == 0:
		return nil, broken(RuleTree, "it has no object tree")
	}
	r := treeReader{limits: object.DefaultTreeLimits, seen: make(map[string]struct{})}
	if err := r.node(raw, 1); err != nil {
		return nil, err
	}
	return r.ids, nil
}

type treeReader struct {
	limits object.TreeLimits
	nodes  int
	seen   map[string]struct{}
	ids    []string
	groups counter // unknown ones
}

// node reads one node and everything below it. The depth of the root is 1.
func (r *treeReader) node(b []byte, depth int) error {
	if depth > r.limits.Depth {
		return broken(RuleTree, "object tree: %w: more than %d levels", object.ErrTreeTooLarge, r.limits.Depth)
	}
	if r.nodes++; r.nodes > r.limits.Nodes {
		return broken(RuleTree, "object tree: %w: more than %d nodes", object.ErrTreeTooLarge, r.limits.Nodes)
	}
	var id []byte
	for len(b) > 0 {
		number, kind, n := consumeTag(b)
		if n < 0 {
			return malformedTree(n)
		}
		b = b[n:]
		switch {
		case kind == protowire.StartGroupType:
			size, err := r.groups.group(b, number, depth)
			if err != nil {
				return err
			}
			n = size
		case kind == protowire.BytesType && number == fieldTreeID && id == nil:
			if id, n = consumeBytes(b); n < 0 {
				return malformedTree(n)
			}
		case kind == protowire.BytesType && number == fieldTreeID:
			return broken(RuleTree, "object tree: a node has two ids")
		case kind == protowire.BytesType && number == fieldTreeChildren:
			child, size := consumeBytes(b)
			if size < 0 {
				return malformedTree(size)
			}
			if err := r.node(child, depth+1); err != nil {
				return err
			}
			n = size
		default:
			if n = consumeValue(number, kind, b); n < 0 {
				return malformedTree(n)
			}
		}
		b = b[n:]
	}
	return r.visit(id)
}

// visit records the id of a node whose children have been visited.
func (r *treeReader) visit(id []byte) error {
	if _, again := r.seen[string(id)]; again {
		return nil
	}
	if len(r.ids) == r.limits.Objects {
		return broken(RuleTree, "object tree: %w: more than %d objects", object.ErrTreeTooLarge, r.limits.Objects)
	}
	name := string(id)
	if err := object.CheckID(name); err != nil {
		return broken(RuleTree, "object tree: %w", err)
	}
	r.seen[name] = struct{}{}
	r.ids = append(r.ids, name)
	return nil
}

// checkRoot checks that the tree of a message is named after it.
func checkRoot(r Routing, objects []string) error {
	if !object.Valid(r.ID) {
		return broken(RuleRoot, "its id is %.80q", r.ID)
	}
	if root := objects[len(objects)-1]; root != r.ID {
		return broken(RuleRoot, "its object tree belongs to %s, not to message %s", root, r.ID)
	}
	return nil
}

func malformedTree(n int) error {
	return broken(RuleTree, "object tree: %w", wireError(n))
}
