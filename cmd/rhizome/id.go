package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/p2p"
)

func newID() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "id",
		Short: "Show the peer id of a data directory, and make its key if there is none",
		Long: `The peer id is a daemon's name on the overlay and its credential; the key behind it never
leaves the data directory. Give the id of a link to the operator of a relay, and the id of
a node to the link ("rhizome member add").`,
		Example: "  rhizome id --data ./hub",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := os.MkdirAll(data, 0o700); err != nil {
				return fmt.Errorf("data directory: %w", err)
			}
			identity, err := p2p.IdentityOf(data)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, map[string]string{"peer_id": identity.ID.String()})
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), identity.ID)
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "data `directory` of the daemon")
	jsonFlag(cmd, &asJSON)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if data == "" {
			return usageError{errors.New("name the data directory of the daemon with --data")}
		}
		return nil
	}
	return cmd
}
