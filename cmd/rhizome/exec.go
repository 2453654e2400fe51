package main

import (
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
	var cfg exec.Config
	var insecure bool
	var secretFile string
	cmd := &cobra.Command{
		Use:   "exec",
		Short: "Run a SuperExec: start the app processes of a link or a node",
		Long: `A SuperExec asks the Runtime API of a SuperLink or SuperNode for tasks and runs each as a
process. Links and nodes start their own unless they are told --isolation process. It
works with a stock flower-superlink and flower-supernode too.`,
		Example: "  rhizome exec --runtime-api-address 127.0.0.1:8000 --data ./exec --python .venv",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cfg.RuntimeAddress == "" {
				return usageError{errors.New("name the Runtime API to work for with --runtime-api-address")}
			}
			if cmd.Flags().Changed("root-certificates") && insecure {
				return usageError{fmt.Errorf("--insecure and --root-certificates exclude each other")}
			}
			cfg.TLS = !insecure && (cfg.TLS || cfg.RootCertificates != "")
			var err error
			if cfg.Secret, err = readSecret("--superexec-auth-secret-file", secretFile); err != nil {
				return err
			}
			cfg.OnReady = func() { fmt.Fprintln(cmd.OutOrStdout(), readyPrefix+"exec") }
			return exec.Run(cmd.Context(), cfg)
		},
	}
	dataFlag(cmd, &cfg.DataDir, "exec")
	flags := cmd.Flags()
	flags.StringVar(&cfg.RuntimeAddress, "runtime-api-address", "", "`host:port` of the Runtime API")
	flags.BoolVar(&cfg.TLS, "tls", false, "the Runtime API speaks HTTPS")
	flags.BoolVar(&insecure, "insecure", false, "the Runtime API speaks plain HTTP (the default, unless certificates are named)")
	flags.StringVar(&cfg.RootCertificates, "root-certificates", "", "`file` (PEM) to trust instead of the system's certificates")
	flags.StringVar(&secretFile, "superexec-auth-secret-file", "", "`file` with the secret that the host demands")
	flags.StringVar(&cfg.Python, "python", "", "Python interpreter or venv `folder` (default: PATH)")
	flags.BoolVar(&cfg.AllowDependencyInstallation, "allow-runtime-dependency-installation", false, "let apps install what their pyproject.toml asks for")
	flags.IntVar(&cfg.MaxApps, "max-apps", 0, "app processes at a time (0: the default bound)")
	flags.BoolVar(&cfg.ShareLogs, "share-logs", false, "send what ClientApps print to the host")
	flags.BoolVar(&cfg.Cold, "cold", false, "start every app as a fresh Python process")
	flags.StringArrayVar(&cfg.Preload, "preload", nil, "Python `module` to import ahead for warm starts (repeat for more)")
	return cmd
}

// superExecOptions are the flags by which a link or a node says how its SuperExec runs apps.
type superExecOptions struct {
	isolation, python, ca string
	secretFile            string // with what the host demands of a SuperExec
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
	flags.StringArrayVar(&o.preload, "preload", nil, "Python `module` to import ahead for warm starts (repeat for more)")
}

// launcher gives how to start the SuperExec; nil if the user does. A SuperExec that can run
// no app would be found out only by the first run, so its Python environment is looked at now.
func (o superExecOptions) launcher(ctx context.Context) (func(dataDir, address string) launch.Options, error) {
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
	return func(dataDir, address string) launch.Options {
		args := []string{"exec", "--data", dataDir, "--runtime-api-address", address}
		if o.ca != "" {
			args = append(args, "--root-certificates", o.ca)
		}
		if o.secretFile != "" {
			args = append(args, "--superexec-auth-secret-file", o.secretFile)
		}
		if python != "" {
			args = append(args, "--python", python)
		}
		if o.installDependencies {
			args = append(args, "--allow-runtime-dependency-installation")
		}
		if o.shareLogs {
			args = append(args, "--share-logs")
		}
		if o.cold {
			args = append(args, "--cold")
		}
		for _, module := range o.preload {
			args = append(args, "--preload", module)
		}
		return launch.Options{DataDir: dataDir, Args: args}
	}, nil
}
