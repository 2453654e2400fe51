package main

import (
	"fmt"
	"io"
	"os"

	logging "github.com/ipfs/go-log/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// setUpLogging sends all logs to stderr: colored for a person, JSON-free plain text for a file.
func setUpLogging(cmd *cobra.Command) error {
	name, err := cmd.Flags().GetString("log-level")
	if err != nil {
		return err
	}
	level, err := logging.Parse(name)
	if err != nil {
		return usageError{fmt.Errorf("--log-level %q: want debug, info, warn or error", name)}
	}
	format := logging.PlaintextOutput
	if isTerminal(os.Stderr) {
		format = logging.ColorizedOutput
	}
	logging.SetupLogging(logging.Config{
		Format: format,
		Stderr: true,
		Level:  level,
		// libp2p reports at info what concerns only those who debug it.
		SubsystemLevels: quietSubsystems(level),
	})
	return nil
}

func quietSubsystems(level logging.LogLevel) map[string]logging.LogLevel {
	quiet := map[string]logging.LogLevel{}
	if level == logging.LevelDebug {
		return quiet
	}
	for _, name := range []string{"swarm2", "basichost", "net/identify", "p2p-holepunch", "autorelay", "relay", "pubsub", "connmgr", "rcmgr", "nat", "autonat", "autonatv2", "quic-transport", "tcp-tpt", "upgrader"} {
		quiet[name] = logging.LevelError
	}
	return quiet
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// quietLogs is for commands whose answer says all.
func quietLogs() { logging.SetAllLoggers(logging.LevelFatal) }
