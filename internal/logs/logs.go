// Package logs gives each of our packages its *slog.Logger, and decides for the whole process what is logged,
// in which form and where.
//
// A logger belongs to a subsystem, which is named after the path of its package:
//
//	var log = logs.For("link/sessions")
//
// Levels are kept by go-log, libp2p's logging library, so one setting works for both: --log-level sets all of our
// subsystems, and GOLOG_LOG_LEVEL=p2p=debug,swarm2=info overrides it for one of ours or for one of libp2p's. A logger
// checks its level each time it is used, so it may be made before flags are read. Until [SetUp] is called, as in most
// tests, go-log's defaults apply: errors only.
//
// It guarantees that everything logged, by us, by libp2p or through the standard library, goes to one place in one
// form, and that an error or anything else with a String method is logged as its text.
//
// It is not responsible for what is said: CONTRIBUTING.md lists the keys to use, and a linter enforces them.
// go-log flattens groups of slog. Packages below protocol import nothing of ours: they ask libp2p's gologshim
// for their logger, which SetUp covers as well.
package logs

import (
	"fmt"
	"log/slog"
	"maps"
	"sync"

	golog "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/gologshim"
)

// subsystemKey is the attribute by which go-log and libp2p's shim name the subsystem of a logger.
const subsystemKey = "logger"

// environment is what the GOLOG_* variables say, as go-log read them when the program started.
var environment = golog.GetConfig()

// ours are the subsystems that follow Config.Level; all others belong to libraries.
var ours = struct {
	sync.Mutex
	names map[string]bool
	level *golog.LogLevel // nil: not set up yet
}{names: map[string]bool{
	"protocol/flwr": true, // made by gologshim
}}

// For returns the logger of a subsystem.
func For(subsystem string) *slog.Logger {
	ours.Lock()
	defer ours.Unlock()
	ours.names[subsystem] = true
	if _, own := environment.SubsystemLevels[subsystem]; !own && ours.level != nil {
		_ = golog.SetLogLevel(subsystem, ours.level.String()) // it can parse its own output
	}
	return slog.New(newHandler().WithAttrs([]slog.Attr{slog.String(subsystemKey, subsystem)}))
}

// Config says what is logged, and how. All of it goes to stderr unless GOLOG_FILE or GOLOG_OUTPUT says otherwise.
type Config struct {
	Level  string // the lowest level that our subsystems log: debug, info, warn or error
	Format Format
}

// Format is the form of a line.
type Format string

const (
	Text   Format = "text"   // for people and grep
	Colour Format = "colour" // text, for a terminal
	JSON   Format = "json"   // one object per line
)

// SetUp applies c to all loggers, existing and future ones. It belongs at the very start of a
// program: a library that has already logged keeps the settings that it had.
func SetUp(c Config) error {
	level, err := golog.Parse(c.Level)
	if err != nil {
		return fmt.Errorf("log level %q: want debug, info, warn or error", c.Level)
	}
	config := environment
	if config.Format, err = c.Format.golog(); err != nil {
		return err
	}
	config.Level, config.SubsystemLevels = follow(level)
	golog.SetupLogging(config)

	gologshim.SetDefaultHandler(newHandler())
	// What net/http reports through package log, such as a panic in a handler, must not be lost at any level.
	slog.SetLogLoggerLevel(slog.LevelError)
	slog.SetDefault(For("std"))
	return nil
}

// Quiet silences everything from now on, for commands whose answer says everything, and for measurements.
func Quiet() {
	level := golog.LevelFatal // a level that nothing logged through slog reaches
	ours.Lock()
	ours.level = &level
	ours.Unlock()
	_ = golog.SetLogLevel("*", level.String()) // including future ones
}

func (f Format) golog() (golog.LogFormat, error) {
	switch f {
	case Text:
		return golog.PlaintextOutput, nil
	case Colour:
		return golog.ColorizedOutput, nil
	case JSON:
		return golog.JSONOutput, nil
	}
	return 0, fmt.Errorf("log format %q: want text or json", f)
}

// follow makes our subsystems follow wanted. It returns the level for libraries, and those of the subsystems that differ.
// Anything that a library reports below error concerns only those who debug it, and they set debug, or name that one
// subsystem in GOLOG_LOG_LEVEL.
func follow(wanted golog.LogLevel) (golog.LogLevel, map[string]golog.LogLevel) {
	others := max(wanted, golog.LevelError)
	if wanted == golog.LevelDebug {
		others = wanted
	}
	ours.Lock()
	defer ours.Unlock()
	ours.level = &wanted
	subsystems := make(map[string]golog.LogLevel, len(ours.names))
	for name := range ours.names {
		subsystems[name] = wanted
	}
	maps.Copy(subsystems, environment.SubsystemLevels)
	return others, subsystems
}
