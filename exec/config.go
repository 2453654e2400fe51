package exec

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/rhizome-fl/rhizome/exec/subprocess"
)

// Config is what a SuperExec needs to know. RuntimeAddress and DataDir are required.
type Config struct {
	// RuntimeAddress is host:port of the Runtime API to work for.
	RuntimeAddress string
	// TLS says that the Runtime API speaks HTTPS. RootCertificates is a PEM file to trust
	// instead of the system's certificates; it implies TLS.
	TLS              bool
	RootCertificates string
	// Secret signs acquire-task requests if the host demands it; nil if it does not.
	Secret []byte

	// DataDir is a folder for this SuperExec alone: running apps, their output, and a
	// FLWR_HOME of its own unless the environment sets one.
	DataDir string
	// Python is an interpreter or the folder of a virtual environment; empty means PATH.
	Python string
	// AllowDependencyInstallation lets apps install what their pyproject.toml asks for.
	AllowDependencyInstallation bool
	// Env is added to the environment of apps, as KEY=value.
	Env []string
	// MaxApps bounds the number of processes at one time; 0 means DefaultMaxApps.
	MaxApps int
	// Cold starts every app as a fresh Python process instead of forking one that has already
	// done the imports. Preload names modules for that one to import besides those it learns of.
	Cold    bool
	Preload []string
	// Limits of each process; the zero value sets none.
	Limits subprocess.Limits
	// ShareLogs sends what ClientApps print to the host; otherwise it stays in DataDir.
	// (ServerApps send their own lines.)
	ShareLogs bool

	// OnReady, if set, is called once, when the SuperExec begins to ask for tasks.
	OnReady func()
}

func (c *Config) validate() error {
	if _, _, err := net.SplitHostPort(c.RuntimeAddress); err != nil {
		return fmt.Errorf("address of the Runtime API: %w", err)
	}
	if c.DataDir == "" {
		return errors.New("a SuperExec needs a data folder")
	}
	if c.MaxApps < 0 {
		return fmt.Errorf("bound of %d app processes: want a positive number", c.MaxApps)
	}
	if c.MaxApps == 0 {
		c.MaxApps = DefaultMaxApps
	}
	if c.RootCertificates != "" {
		c.TLS = true
		if _, err := os.Stat(c.RootCertificates); err != nil {
			return fmt.Errorf("root certificates of the Runtime API: %w", err)
		}
	}
	return nil
}

// appArgs returns the arguments of every app process, except those about its token.
func (c *Config) appArgs() []string {
	args := []string{"--runtime-api-address", c.RuntimeAddress}
	switch {
	case c.RootCertificates != "":
		args = append(args, "--root-certificates", c.RootCertificates)
	case !c.TLS:
		args = append(args, "--insecure")
	}
	if c.AllowDependencyInstallation {
		args = append(args, "--allow-runtime-dependency-installation")
	}
	return args
}

// appEnv returns what every app process gets in addition to our own environment.
func (c *Config) appEnv(flwrHome string) []string {
	env := []string{
		"FLWR_HOME=" + flwrHome,
		// An app has no business calling home, and without internet it would hang at its start trying to.
		"FLWR_TELEMETRY_ENABLED=0",
		"FLWR_DISABLE_UPDATE_CHECK=1",
		// The last words of an app must not stay in a buffer when it dies.
		"PYTHONUNBUFFERED=1",
	}
	if !c.AllowDependencyInstallation {
		env = append(env, "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1")
	}
	return append(env, c.Env...)
}
