package main

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rhizome-fl/rhizome/internal/logs"
)

// loggingFlags defines the flags that every command has.
func loggingFlags(root *cobra.Command) {
	root.PersistentFlags().String("log-level", "info", "lowest level to log: debug, info, warn, error")
	root.PersistentFlags().String("log-format", string(logs.Text), "format of the log on stderr: text, json (one object per line)")
}

// setUpLogging is the only place that decides what is logged.
func setUpLogging(cmd *cobra.Command) error {
	level, err1 := cmd.Flags().GetString("log-level")
	format, err2 := cmd.Flags().GetString("log-format")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	config := logs.Config{Level: level, Format: logs.Format(format)}
	if config.Format == logs.Text && isTerminal(os.Stderr) {
		config.Format = logs.Colour
	}
	if err := logs.SetUp(config); err != nil {
		return usageError{err}
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
