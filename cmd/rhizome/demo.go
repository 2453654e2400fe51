package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/admin"
	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/p2p/relayd"
)

func newDemo() *cobra.Command {
	d := demo{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a real Flower app over a relay, a link and some nodes on this machine",
		Long: `Starts a relay, a SuperLink that does not listen anywhere and SuperNodes that know only a
ticket, so every byte goes through the relay. Then the stock flwr command runs the
quickstart app. At the end everything is stopped, nothing is kept, and a summary shows
the accuracy of each round, the path of each node and the time it all took.`,
		Example: "  rhizome demo --python .venv/flwr-1.41",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.out = cmd.OutOrStdout()
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&d.python, "python", "", "Python interpreter or venv `folder` with flwr 1.41, numpy and scikit-learn (default: PATH)")
	cmd.Flags().StringVar(&d.app, "app", filepath.Join("examples", "quickstart"), "`folder` of the Flower app to run")
	cmd.Flags().IntVar(&d.nodes, "nodes", 3, "number of SuperNodes")
	return cmd
}

type demo struct {
	python, app string
	nodes       int
	out         io.Writer

	dir      string
	children []*child
	started  time.Time
	summary  demoSummary
}

func (d *demo) run(ctx context.Context) (err error) {
	d.started = time.Now()
	if d.nodes < 1 || d.nodes > 100 {
		return usageError{fmt.Errorf("--nodes %d: want 1 to 100", d.nodes)}
	}
	if _, err := os.Stat(filepath.Join(d.app, "pyproject.toml")); err != nil {
		return fmt.Errorf("no Flower app in %s: run this in a checkout of Rhizome, or name an app with --app", d.app)
	}
	flwr, err := findFlwr(d.python)
	if err != nil {
		return err
	}
	if d.dir, err = os.MkdirTemp("", "rhizome-demo-"); err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	err = d.play(ctx, flwr)
	if ctx.Err() != nil {
		err = errInterrupted // whatever it was that the interrupt broke off
	}
	stopAll(d.children)
	if err := errors.Join(err, os.RemoveAll(d.dir)); err != nil {
		return err
	}
	return d.summary.print(d.out, time.Since(d.started))
}

// play is the demo itself; what it starts is in d.children.
func (d *demo) play(ctx context.Context, flwr string) error {
	if err := os.Mkdir(d.temporary(), 0o700); err != nil {
		return fmt.Errorf("make a folder for temporary files: %w", err)
	}
	if err := d.startFederation(ctx); err != nil {
		return err
	}
	d.say("the federation is up: flwr run %s", d.app)
	if err := d.flwrRun(ctx, flwr); err != nil {
		return err
	}
	var status linkadmin.Status
	if err := d.ask(ctx, "link", "/status", &status); err != nil {
		return err
	}
	d.summary.addPaths(status.Nodes)
	d.say("done, everything stops")
	return nil
}

// startFederation starts relay, link and nodes, each once the one before it serves.
func (d *demo) startFederation(ctx context.Context) error {
	d.say("starting the relay")
	// The link's key is made first, so that the relay can be told to serve only this link.
	linkID, err := d.command(ctx, "id", "--data", d.data("link"))
	if err != nil {
		return err
	}
	if err := d.start(ctx, "relay", "relay", "--data", d.data("relay"), "--listen", "/ip4/127.0.0.1/tcp/0", "--allow-link", linkID); err != nil {
		return err
	}
	var relay relayd.Status
	if err := d.ask(ctx, "relay", "/status", &relay); err != nil {
		return err
	}
	if len(relay.Addresses) == 0 {
		return errors.New("the relay names no address")
	}
	d.say("starting the SuperLink, which only the relay can reach")
	if err := d.start(ctx, "link", append([]string{"link", "--data", d.data("link"), "--http", "127.0.0.1:0",
		"--listen", "none", "--relay", relay.Addresses[0]}, d.pythonFlag()...)...); err != nil {
		return err
	}
	ticket, err := d.command(ctx, "ticket", "create", "--data", d.data("link"))
	if err != nil {
		return err
	}
	d.say("starting %d SuperNodes, which know only the ticket", d.nodes)
	for i := range d.nodes {
		name := fmt.Sprintf("node%d", i+1)
		ticketFile := filepath.Join(d.dir, name+".ticket")
		if err := os.WriteFile(ticketFile, []byte(ticket), 0o600); err != nil {
			return fmt.Errorf("write the ticket for %s: %w", name, err)
		}
		args := append([]string{"node", "--data", d.data(name), "--name", name, "--join", "@" + ticketFile, "--listen", "none",
			"--node-config", fmt.Sprintf("partition-id=%d num-partitions=%d", i, d.nodes)}, d.pythonFlag()...)
		if err := d.start(ctx, name, args...); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) start(ctx context.Context, name string, args ...string) error {
	c, err := startChild(ctx, d.dir, name, d.environ(), args...)
	if err != nil {
		return err
	}
	d.children = append(d.children, c)
	return nil
}

// command runs a short command of this binary and returns what it prints.
func (d *demo) command(ctx context.Context, args ...string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the rhizome binary: %w", err)
	}
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("rhizome %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// ask asks a daemon of the demo.
func (d *demo) ask(ctx context.Context, name, path string, out any) error {
	client, err := admin.NewClient(d.data(name))
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Call(ctx, http.MethodGet, path, nil, out)
}

// flwrRun submits the app with the stock command and shows what it prints.
func (d *demo) flwrRun(ctx context.Context, flwr string) error {
	var status linkadmin.Status
	if err := d.ask(ctx, "link", "/status", &status); err != nil {
		return err
	}
	home := filepath.Join(d.dir, "flwr-home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("make FLWR_HOME: %w", err)
	}
	config := fmt.Sprintf("[superlink]\ndefault = \"demo\"\n\n[superlink.demo]\naddress = %q\ninsecure = true\n", status.HTTPAddress)
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(config), 0o600); err != nil {
		return fmt.Errorf("write the flwr configuration: %w", err)
	}
	cmd := exec.CommandContext(ctx, flwr, "run", d.app, "demo", "--stream")
	cmd.Env = append(d.environ(), "FLWR_HOME="+home, "FLWR_TELEMETRY_ENABLED=0", "FLWR_DISABLE_UPDATE_CHECK=1")
	started, out := time.Now(), d.summary.listener(d.out)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = flwrStop
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("flwr run: %w", err)
	}
	d.summary.run = time.Since(started)
	var after linkadmin.Status
	if err := d.ask(ctx, "link", "/status", &after); err != nil {
		return err
	}
	for _, run := range after.Runs {
		if run.Status != "finished:completed" {
			return fmt.Errorf("the run ended as %s: %s", run.Status, run.Details)
		}
	}
	return nil
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, "[%5.1f s] %s\n", time.Since(d.started).Seconds(), fmt.Sprintf(format, args...))
}

func (d *demo) temporary() string { return filepath.Join(d.dir, "tmp") }

// environ is the environment of everything that the demo starts. An app that is stopped while it
// unpacks itself leaves temporary files behind: they go with the demo's folder.
func (d *demo) environ() []string { return append(os.Environ(), "TMPDIR="+d.temporary()) }

func (d *demo) data(name string) string { return filepath.Join(d.dir, name) }

func (d *demo) pythonFlag() []string {
	if d.python == "" {
		return nil
	}
	return []string{"--python", d.python}
}

// findFlwr finds the stock command beside the interpreter, in the venv, or in PATH.
func findFlwr(python string) (string, error) {
	candidates := []string{filepath.Join(python, "bin", "flwr"), filepath.Join(filepath.Dir(python), "flwr")}
	if python == "" {
		candidates = nil
	}
	for _, path := range candidates {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	if python == "" {
		if path, err := exec.LookPath("flwr"); err == nil {
			return path, nil
		}
		return "", errors.New("no flwr in PATH: install flwr 1.41 or name a venv with --python")
	}
	return "", fmt.Errorf("no flwr beside --python %s: install it there with pip install 'flwr==1.41.0' numpy scikit-learn", strings.TrimSpace(python))
}
