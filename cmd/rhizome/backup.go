package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/link/backup"
)

func newBackup() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a running link into one file",
		Long: `Copies the database of a running link as it is at this moment, the objects that its
unfinished runs need, and its identity. The link keeps working meanwhile. The file is as
secret as the data directory: whoever has it can be the link.`,
		Example: "  rhizome backup --data ./hub hub-monday.backup",
		Args:    exactlyOne("the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := writeBackup(cmd, data, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s holds the link as it is now, %s\n", args[0], size(n))
			return nil
		},
	}
	dataFlag(cmd, &data, "link")
	return cmd
}

// writeBackup lets the file appear under its name only when it is whole.
func writeBackup(cmd *cobra.Command, data, path string) (size int64, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".backup-*") // mode 0600
	if err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	defer func() {
		_ = file.Close()
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	err = withDaemon(data, func(client *admin.Client) error {
		return client.Copy(cmd.Context(), http.MethodPost, "/backup", file)
	})
	if err != nil {
		return 0, err
	}
	if size, err = file.Seek(0, io.SeekCurrent); err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	if err := errors.Join(file.Sync(), os.Rename(file.Name(), path), datadir.SyncDir(filepath.Dir(path))); err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	return size, nil
}

func newRestore() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make the data directory of a link from a backup",
		Long: `Makes a new data directory from a backup, verifying all of it; start the link on it as
usual. To its nodes it is the same link. The one that was backed up must not run again:
two links with one identity take each other's nodes away.

What happened after the backup is not in it: nodes are told to drop the work of runs that
the restored link does not know, members that joined since then have to join again, and
members that were removed since then have to be removed again.`,
		Example: "  rhizome restore hub-monday.backup --data ./hub2 && rhizome link --data ./hub2",
		Args:    exactlyOne("the file that rhizome backup wrote"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("data") {
				return usageError{errors.New("--data: name the new directory")}
			}
			file, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("read the backup: %w", err)
			}
			defer file.Close()
			report, err := backup.Restore(cmd.Context(), file, data)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "link %s as of %s is in %s, with %d objects\n",
				report.Manifest.PeerID, report.Manifest.CreatedAt.Local().Format("2006-01-02 15:04:05"), data, report.Objects)
			if len(report.Damaged) > 0 {
				fmt.Fprintf(out, "%d objects were damaged before the backup and are left out; runs that need them fail\n", len(report.Damaged))
			}
			return nil
		},
	}
	dataFlag(cmd, &data, "link")
	return cmd
}
