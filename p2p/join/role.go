package join

import (
	"fmt"
	"slices"
)

// Role is what a member may do in a federation.
type Role string

// The roles.
const (
	RoleNode     Role = "node"     // a SuperNode
	RoleOperator Role = "operator" // may use the Control API through a proxy
	RoleObserver Role = "observer" // may read the status
)

// Check returns an error if the role is unknown.
func (r Role) Check() error {
	if slices.Contains([]Role{RoleNode, RoleOperator, RoleObserver}, r) {
		return nil
	}
	return fmt.Errorf("unknown role %q: want %s, %s or %s", string(r), RoleNode, RoleOperator, RoleObserver)
}
