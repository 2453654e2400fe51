package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/exec"
	"github.com/rhizome-fl/rhizome/exec/launch"
)

func newExec() *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:   "exec",
		Short: "Run a SuperExec: start the app processes of a link or a node",
		Long: `A SuperExec asks the Runtime API of a SuperLink or SuperNode for tasks and runs each as a
process. Links and nodes start their own unless they are told --isolation process. It
works with a stock flower-superlink and flower-supernode too.`,
		Example: "  rhizome exec --runtime-api-address 127.0.0.1:8000 --data ./exec --python .venv",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.config()
			if err != nil {
				return err
			}
			cfg.OnReady = func() { fmt.Fprintln(cmd.OutOrStdout(), readyPrefix+"exec") }
			return exec.Run(cmd.Context(), cfg)
		},
	}
	o.define(cmd)
	return cmd
}

type execOptions struct {
	cfg        exec.Config
	insecure   bool
	secretFile string
}

func (o *execOptions) define(cmd *cobra.Command) {
	dataFlag(cmd, &o.cfg.DataDir, "exec")
	flags := cmd.Flags()
	flags.StringVar(&o.cfg.RuntimeAddress, "runtime-api-address", "", "`host:port` of the Runtime API")
	flags.BoolVar(&o.cfg.TLS, "tls", false, "the Runtime API speaks HTTPS")
	flags.BoolVar(&o.insecure, "insecure", false, "the Runtime API speaks plain HTTP (the default, unless certificates are named)")
	flags.StringVar(&o.cfg.RootCertificates, "root-certificates", "", "`file` (PEM) to trust instead of the system's certificates")
	flags.StringVar(&o.secretFile, "superexec-auth-secret-file", "", "`file` with the secret that the link or node demands")
	flags.StringVar(&o.cfg.Python, "python", "", "Python interpreter or venv `folder` (default: PATH)")
	flags.BoolVar(&o.cfg.AllowDependencyInstallation, "allow-runtime-dependency-installation", false, "let apps install what their pyproject.toml asks for")
	flags.IntVar(&o.cfg.MaxApps, "max-apps", exec.DefaultMaxApps, "app processes at a time")
	flags.BoolVar(&o.cfg.ShareLogs, "share-logs", false, "send what ClientApps print to the link or node")
	flags.BoolVar(&o.cfg.Cold, "cold", false, "start every app as a fresh Python process")
	flags.StringArrayVar(&o.cfg.Preload, "preload", nil, "Python `module` to import in advance for warm starts (repeat for more)")
}

// config gives what the flags say, and reads the files that they name.
func (o execOptions) config() (cfg exec.Config, err error) {
	cfg = o.cfg
	if cfg.RuntimeAddress == "" {
		return cfg, usageError{errors.New("name the Runtime API to work for with --runtime-api-address")}
	}
	if cfg.RootCertificates != "" && o.insecure {
		return cfg, usageError{errors.New("--insecure and --root-certificates exclude each other: leave one out")}
	}
	cfg.TLS = !o.insecure && (cfg.TLS || cfg.RootCertificates != "")
	cfg.Secret, err = readSecret("--superexec-auth-secret-file", o.secretFile)
	return cfg, err
}

// superExecOptions are the flags by which a link or a node says how its SuperExec runs apps.
type superExecOptions struct {
	isolation, python, ca string
	secretFile            string // holds what the host demands of a SuperExec
	installDependencies   bool
	cold, shareLogs       bool
	preload               []string
}

func superExecFlags(cmd *cobra.Command, o *superExecOptions) {
	flags := cmd.Flags()
	flags.StringVar(&o.isolation, "isolation", "subprocess", "subprocess: start a SuperExec; process: leave that to you")
	flags.StringVar(&o.python, "python", "", "Python interpreter or venv `folder` for apps (default: PATH)")
	flags.BoolVar(&o.installDependencies, "allow-runtime-dependency-installation", false, "let apps install what their pyproject.toml asks for")
	flags.BoolVar(&o.cold, "cold", false, "start every app as a fresh Python process")
	flags.StringArrayVar(&o.preload, "preload", nil, "Python `module` to import in advance for warm starts (repeat for more)")
}

// launcher tells how to start the SuperExec; nil if the user does that. Only the first run would
// show that a SuperExec cannot run any app, so its Python environment is checked now.
func (o superExecOptions) launcher(ctx context.Context) (func(dataDir, address, secretFile string) launch.Options, error) {
	switch o.isolation {
	case "process":
		return nil, nil
	case "subprocess":
	default:
		return nil, usageError{fmt.Errorf("--isolation %q: want subprocess or process", o.isolation)}
	}
	if err := exec.CheckPython(ctx, o.python); err != nil {
		return nil, fmt.Errorf("%w (or start the SuperExec yourself, with --isolation process here)", err)
	}
	python := o.python
	if _, err := os.Stat(python); err == nil {
		if python, err = filepath.Abs(python); err != nil {
			return nil, fmt.Errorf("--python: %w", err)
		}
	}
	return func(dataDir, address, secretFile string) launch.Options {
		return launch.Options{DataDir: dataDir, Args: o.args(dataDir, address, python, secretFile)}
	}, nil
}

// args is the command line of the SuperExec. ownSecret is the file with the secret that its host
// has made for it.
func (o superExecOptions) args(dataDir, address, python, ownSecret string) []string {
	args := []string{"exec", "--data", dataDir, "--runtime-api-address", address}
	for _, flag := range []struct{ name, value string }{
		{"--root-certificates", o.ca}, {"--superexec-auth-secret-file", cmp.Or(o.secretFile, ownSecret)}, {"--python", python},
	} {
		if flag.value != "" {
			args = append(args, flag.name, flag.value)
		}
	}
	for _, flag := range []struct {
		name string
		on   bool
	}{
		{"--allow-runtime-dependency-installation", o.installDependencies}, {"--share-logs", o.shareLogs}, {"--cold", o.cold},
	} {
		if flag.on {
			args = append(args, flag.name)
		}
	}
	for _, module := range o.preload {
		args = append(args, "--preload", module)
	}
	return args
}
