// Command rhizome is Rhizome as one binary: SuperLink, SuperNode, SuperExec, relay and the
// commands that administer them. Each subcommand has a file of its own; the work is done
// by the packages link, node, exec and p2p.
//
// Exit status: 0 it is done; 1 it did not work (one line on stderr says what happened and what to
// do); 2 the command line is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker, see the Makefile.
var version = "unknown"

// software is what this binary calls itself to others.
func software() string { return "rhizome " + version }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(usageError)):
		fmt.Fprintf(os.Stderr, "rhizome: %s (see %s --help)\n", oneLine(err), cmd.CommandPath())
		return 2
	default:
		fmt.Fprintf(os.Stderr, "rhizome: %s\n", oneLine(err))
		return 1
	}
}

// oneLine keeps joined errors on the one line that scripts and logs expect.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// usageError is a mistake in the command line, as opposed to something that went wrong.
type usageError struct{ error }

// daemons is the group of the commands that run until they are stopped.
const daemons = "daemons"

// outliveReaders lets writes fail once nobody reads what we print any more, instead of ending
// the process (os/signal, SIGPIPE), since a daemon would leave its work half done. The signal is
// caught rather than ignored, so that it is as usual for the processes that we start.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "rhizome",
		Short: "Federated learning with Flower between machines that nobody can dial",
		Long: `Rhizome runs Flower apps between machines behind any NAT. A SuperLink makes a ticket,
SuperNodes join with it, and the stock flwr command submits runs.

  rhizome link  --data ./hub                     # prints a line to copy for the nodes
  rhizome node  --data ./n1 --join rhz1...       # on each site
  rhizome proxy --data ./me --join rhz1...       # for flwr on a laptop far away`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	loggingFlags(root)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.GroupID == daemons {
			outliveReaders()
		}
		return setUpLogging(cmd)
	}
	root.AddGroup(
		&cobra.Group{ID: daemons, Title: "Daemons:"},
		&cobra.Group{ID: "admin", Title: "Administration:"},
	)
	for _, cmd := range []*cobra.Command{newLink(), newNode(), newExec(), newRelay(), newProxy(), newDemo()} {
		cmd.GroupID = daemons
		root.AddCommand(cmd)
	}
	for _, cmd := range []*cobra.Command{newTicket(), newMember(), newBackup(), newRestore(), newStatus(), newDoctor(), newID(), newVersion()} {
		cmd.GroupID = "admin"
		root.AddCommand(cmd)
	}
	return root
}
