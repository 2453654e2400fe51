package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/gologshim"
	ma "github.com/multiformats/go-multiaddr"
)

// early is made before anything is set up, as our loggers are.
var early = For("test/early")

// A libp2p logger keeps the handler that it finds at its first line, and go-log reads GOLOG_* when a program starts, so
// each case runs in a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("RHIZOME_LOGS_TEST") != "" {
		speak()
		return
	}
	os.Exit(m.Run())
}

// speak logs at each level in every way that there is.
func speak() {
	libp2p := gologshim.Logger("swarm2")
	protocol := gologshim.Logger("protocol/flwr")
	if err := SetUp(Config{Level: os.Getenv("LEVEL"), Format: Format(os.Getenv("FORMAT"))}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if os.Getenv("QUIET") != "" {
		Quiet()
	}
	late := For("test/late")
	for name, logger := range map[string]interface {
		Debug(string, ...any)
		Info(string, ...any)
		Warn(string, ...any)
		Error(string, ...any)
	}{"early": early, "late": late, "libp2p": libp2p, "protocol": protocol} {
		logger.Debug(name + "-debug")
		logger.Info(name + "-info")
		logger.Warn(name + "-warn")
		logger.Error(name + "-error")
	}
	log.Print("std-print")
	var nobody *peer.AddrInfo
	early.Error("values", "err", fmt.Errorf("open: %w", errors.New("disk full")), "addr", ma.StringCast("/ip4/192.0.2.1/tcp/1"),
		"in", 2*time.Second, "run", uint64(1<<63), "nil", nobody, "long", strings.Repeat("x", maxValue+1))
	early.With("err", errors.New("kept")).Error("with")
}

// said runs speak in a process of its own and returns what came to stderr.
func said(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RHIZOME_LOGS_TEST=1", "LEVEL=info", "FORMAT=text", "GOLOG_LOG_LEVEL=")
	cmd.Env = append(cmd.Env, env...)
	var out, stdout bytes.Buffer
	cmd.Stderr, cmd.Stdout = &out, &stdout
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if stdout.Len() > 0 {
		t.Errorf("stdout belongs to the command, and got %q", stdout.String())
	}
	return out.String()
}

func TestLevels(t *testing.T) {
	levels := []string{"debug", "info", "warn", "error"}
	for _, tc := range []struct {
		name, level, env string
		least            map[string]string // of each logger; "none" for silence
	}{
		{"info", "info", "", map[string]string{"early": "info", "late": "info", "protocol": "info", "libp2p": "error"}},
		{"debug shows libraries as well", "debug", "", map[string]string{"early": "debug", "late": "debug", "protocol": "debug", "libp2p": "debug"}},
		{"warn", "warn", "", map[string]string{"early": "warn", "late": "warn", "protocol": "warn", "libp2p": "error"}},
		{"error", "error", "", map[string]string{"early": "error", "late": "error", "protocol": "error", "libp2p": "error"}},
		{"one of ours louder", "error", "test/early=debug", map[string]string{"early": "debug", "late": "error", "protocol": "error", "libp2p": "error"}},
		{"one of ours quieter", "info", "test/late=error,protocol/flwr=warn", map[string]string{"early": "info", "late": "error", "protocol": "warn", "libp2p": "error"}},
		{"one of libp2p's", "info", "swarm2=info", map[string]string{"early": "info", "late": "info", "protocol": "info", "libp2p": "info"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := said(t, "LEVEL="+tc.level, "GOLOG_LOG_LEVEL="+tc.env)
			for logger, least := range tc.least {
				wanted := false
				for _, level := range levels {
					wanted = wanted || level == least
					if line := logger + "-" + level; strings.Contains(out, line) != wanted {
						t.Errorf("%s was logged: %v, want %v", line, !wanted, wanted)
					}
				}
			}
			if !strings.Contains(out, "std-print") {
				t.Error("what goes through package log is lost")
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

func TestQuiet(t *testing.T) {
	if out := said(t, "QUIET=1"); out != "" {
		t.Errorf("quiet, but logged:\n%s", out)
	}
}

func TestText(t *testing.T) {
	out := said(t)
	for _, want := range []string{
		"\tINFO\ttest/early\t", "\tERROR\tswarm2\t", "\tINFO\tprotocol/flwr\t", "\tERROR\tstd\t", "logs_test.go:",
		`"err": "open: disk full"`, `"addr": "/ip4/192.0.2.1/tcp/1"`, `"run": 9223372036854775808`, `"err": "kept"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b[") {
		t.Error("text is coloured")
	}
	if coloured := said(t, "FORMAT=colour"); !strings.Contains(coloured, "\x1b[") {
		t.Error("colour is not")
	}
}

func TestJSON(t *testing.T) {
	found := map[string]map[string]any{}
	for line := range strings.Lines(said(t, "FORMAT=json")) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%q is not an object: %v", line, err)
		}
		found[entry["msg"].(string)] = entry
	}
	for msg, logger := range map[string]string{
		"early-info": "test/early", "late-warn": "test/late", "libp2p-error": "swarm2", "protocol-info": "protocol/flwr", "std-print": "std", "values": "test/early",
	} {
		if got := found[msg]["logger"]; got != logger {
			t.Errorf("%s comes from %v, want %s", msg, got, logger)
		}
	}
	values := found["values"]
	for key, want := range map[string]string{"err": "open: disk full", "addr": "/ip4/192.0.2.1/tcp/1", "nil": "<nil>"} {
		if values[key] != want {
			t.Errorf("%s is %v, want %s", key, values[key], want)
		}
	}
	if long := values["long"].(string); len(long) > maxValue+30 || !strings.HasSuffix(long, fmt.Sprintf("(%d bytes)", maxValue+1)) {
		t.Errorf("a long value has %d bytes and ends in %q", len(long), long[len(long)-30:])
	}
	if values["level"] != "error" || values["ts"] == nil || values["caller"] == nil {
		t.Errorf("level, time or place is missing in %v", values)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []Config{{Level: "loud", Format: Text}, {Level: "info", Format: "xml"}, {}} {
		if SetUp(c) == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}
