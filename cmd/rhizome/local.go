package main

import (
	"fmt"
	"os/user"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/localpeer"
)

// localOptions are the flags that say who on this machine may use a local port.
type localOptions struct {
	users, names []string
}

// allUsers in the place of a user name lets everybody on the machine in.
const allUsers = "all"

func localFlags(cmd *cobra.Command, o *localOptions) {
	cmd.Flags().StringSliceVar(&o.users, "allow-users", nil,
		"`users` of this machine, by name or number, who may use the local port besides you and root, or "+allUsers)
}

// guard gives what the flags say.
func (o localOptions) guard() (localpeer.Guard, error) {
	guard := localpeer.Guard{Names: o.names}
	for _, name := range o.users {
		if name == allUsers {
			guard.AnyUser = true
			continue
		}
		id, err := userID(name)
		if err != nil {
			return guard, usageError{fmt.Errorf("--allow-users: %w", err)}
		}
		guard.Users = append(guard.Users, id)
	}
	return guard, nil
}

// userID takes a number as it is: it may be that of a user whom only a container knows by name.
func userID(name string) (uint32, error) {
	text := name
	if _, err := strconv.ParseUint(name, 10, 32); err != nil {
		known, err := user.Lookup(name)
		if err != nil {
			return 0, fmt.Errorf("this machine has no user %q", name)
		}
		text = known.Uid
	}
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("user %q has the id %q, which is not a number", name, text)
	}
	return uint32(id), nil
}
