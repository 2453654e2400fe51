// Package logs gives each package of ours its *slog.Logger, and decides for the whole process what is logged,
// in which form and where.
//
// A logger belongs to a subsystem, which is named after the path of its package:
//
//	var log = logs.For("link/sessions")
//
// Levels are kept by go-log, the logging library of libp2p, so one setting works for both: --log-level sets all of our
// subsystems, and GOLOG_LOG_LEVEL=p2p=debug,swarm2=info overrides it for one of them or for one of libp2p's. A logger
// looks at its level when it is used, so it may be made before flags are read. Until [SetUp] is called, as in most
// tests, go-log's defaults hold: errors only.
//
// It guarantees that whatever is logged, by us, by libp2p or through the standard library, goes to one place in one
// form, and that an error or anything else with a String method is logged as its text.
//
// It is not responsible for what is said: which keys are used is written in CONTRIBUTING.md and kept by a linter.
// Groups of slog are flattened by go-log. Packages below protocol import nothing of ours: they ask libp2p's gologshim
// for their logger, which SetUp answers as well.
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

// environment is what GOLOG_* says, read by go-log when the program starts.
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
		_ = golog.SetLogLevel(subsystem, ours.level.String()) // it parses its own word
	}
	return slog.New(newHandler().WithAttrs([]slog.Attr{slog.String(subsystemKey, subsystem)}))
}

// Config says what is logged, and how. All of it goes to stderr unless GOLOG_FILE or GOLOG_OUTPUT say otherwise.
type Config struct {
	Level  string // the least level of our subsystems: debug, info, warn or error
	Format Format
}

// Format is the form of a line.
type Format string

const (
	Text   Format = "text"   // for people and grep
	Colour Format = "colour" // text, for a terminal
	JSON   Format = "json"   // an object a line
)

// SetUp applies c to all loggers, those that exist and those that are still to come. It belongs at the very start of a
// program: a library that has logged before keeps what it had.
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
	// What net/http reports through package log, such as a panic of a handler, must not get lost at any level.
	slog.SetLogLoggerLevel(slog.LevelError)
	slog.SetDefault(For("std"))
	return nil
}

// Quiet silences everything from now on, for a command whose answer says all, and for measurements.
func Quiet() {
	level := golog.LevelFatal // which nothing that speaks slog reaches
	ours.Lock()
	ours.level = &level
	ours.Unlock()
	_ = golog.SetLogLevel("*", level.String()) // those to come as well
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

// follow makes our subsystems follow wanted. It returns the level of libraries, and those of the subsystems that differ.
// What a library reports below error concerns only those who debug it, and they ask for debug, or for that one
// subsystem by GOLOG_LOG_LEVEL.
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
