package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/admin"
)

func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

func exactlyOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("want exactly one argument: %s", what)}
		}
		return nil
	}
}

func jsonFlag(cmd *cobra.Command, target *bool) {
	cmd.Flags().BoolVar(target, "json", false, "print JSON, for scripts")
}

// dataFlag defines the flag for the data directory of a daemon. Each kind has its own default, so
// that a link and a node of the same user do not collide.
func dataFlag(cmd *cobra.Command, target *string, kind string) {
	cmd.Flags().StringVar(target, "data", defaultData(kind), "data `directory`")
}

func defaultData(kind string) string {
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(".rhizome", kind)
	}
	return filepath.Join(home, ".rhizome", kind)
}

func printJSON(cmd *cobra.Command, value any) error {
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// callDaemon calls the daemon that runs on a data directory.
func callDaemon(cmd *cobra.Command, dataDir, method, path string, in, out any) error {
	return withDaemon(dataDir, func(client *admin.Client) error {
		return client.Call(cmd.Context(), method, path, in, out)
	})
}

// withDaemon talks to the daemon that runs on a data directory.
func withDaemon(dataDir string, talk func(*admin.Client) error) error {
	client, err := admin.NewClient(dataDir)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := talk(client); !errors.Is(err, admin.ErrNotRunning) {
		return err
	}
	return notRunning{dataDir}
}

// notRunning is admin.ErrNotRunning with advice instead of detail.
type notRunning struct{ dataDir string }

func (e notRunning) Error() string {
	return fmt.Sprintf("no rhizome daemon is running on %s: start it, or name its directory with --data", e.dataDir)
}

func (notRunning) Unwrap() error { return admin.ErrNotRunning }
