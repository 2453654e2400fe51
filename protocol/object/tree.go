package object

import (
	"errors"
	"fmt"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// ErrTreeTooLarge: a tree is over one of its [TreeLimits].
var ErrTreeTooLarge = errors.New("object tree is too large")

// TreeLimits bound a tree that a stranger sent. Zero means the value in [DefaultTreeLimits].
type TreeLimits struct {
	Depth   int // levels, the root included
	Objects int // distinct ids
	Nodes   int // all nodes, repeated ones included
}

func (l TreeLimits) withDefaults() TreeLimits {
	if l.Depth == 0 {
		l.Depth = DefaultTreeLimits.Depth
	}
	if l.Objects == 0 {
		l.Objects = DefaultTreeLimits.Objects
	}
	if l.Nodes == 0 {
		l.Nodes = DefaultTreeLimits.Nodes
	}
	return l
}

// PostOrder lists the distinct ids of a tree, children before parents and the root last:
// the order in which Flower registers and moves objects. A receiver of any prefix of the list
// has complete subtrees.
func PostOrder(tree *flwrpb.ObjectTree, limits TreeLimits) ([]string, error) {
	var ids []string
	err := Walk(tree, limits, func(id string) error {
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// Walk calls visit for each distinct id of a tree in the order of [PostOrder], until visit
// returns an error.
func Walk(tree *flwrpb.ObjectTree, limits TreeLimits, visit func(id string) error) error {
	if tree == nil {
		return errors.New("there is no object tree")
	}
	w := walker{limits: limits.withDefaults(), seen: make(map[string]struct{}), visit: visit}
	return w.walk(tree, 1)
}

type walker struct {
	limits TreeLimits
	nodes  int
	seen   map[string]struct{}
	visit  func(id string) error
}

func (w *walker) walk(tree *flwrpb.ObjectTree, depth int) error {
	if depth > w.limits.Depth {
		return fmt.Errorf("%w: more than %d levels", ErrTreeTooLarge, w.limits.Depth)
	}
	if w.nodes++; w.nodes > w.limits.Nodes {
		return fmt.Errorf("%w: more than %d nodes", ErrTreeTooLarge, w.limits.Nodes)
	}
	id := tree.GetObjectId()
	if err := CheckID(id); err != nil {
		return fmt.Errorf("object tree: %w", err)
	}
	for _, child := range tree.GetChildren() {
		if err := w.walk(child, depth+1); err != nil {
			return err
		}
	}
	if _, seen := w.seen[id]; seen {
		return nil
	}
	if len(w.seen) == w.limits.Objects {
		return fmt.Errorf("%w: more than %d objects", ErrTreeTooLarge, w.limits.Objects)
	}
	w.seen[id] = struct{}{}
	return w.visit(id)
}
