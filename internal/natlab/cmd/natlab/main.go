//go:build linux

// Command natlab builds a small internet, runs a command in it, and takes it down:
//
//	natlab run -site relay=public -site a=cone,rtt=60ms -site b=symmetric -- ./test.sh
//	natlab run -private -site ...  -- bash    # without root
//
// With root, other shells may look in:
//
//	natlab up -site ...           # stays until interrupted
//	natlab exec a COMMAND...      # runs on host a
//	natlab cut a | restore a      # pulls the plug of site a, and puts it back
//	natlab flush a                # the gateway of site a forgets its mappings
//	natlab clean                  # removes what a killed run left behind
//
// The command of run sees NATLAB_PREFIX and, for each host h, with dashes as underscores,
// NATLAB_NS_h (its namespace), NATLAB_ADDR_h, NATLAB_PUBLIC_h and NATLAB_GATEWAY_h. Inside it,
// "natlab exec" works as above. Kinds and settings of sites are those of natlab.ParseSite.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

func main() {
	err := run(os.Args[1:])
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0: // the command's own status
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "natlab:", err)
		os.Exit(1)
	}
}

// options holds the options of all subcommands; each uses those that concern it.
type options struct {
	topology natlab.Topology
	private  bool
	args     []string
}

func parse(name string, args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("natlab "+name, flag.ContinueOnError)
	prefix := "nl"
	if outer := os.Getenv("NATLAB_PREFIX"); outer != "" { // inside "natlab run"
		prefix = outer
	}
	flags.StringVar(&o.topology.Prefix, "prefix", prefix, "prefix of the namespaces' names")
	flags.StringVar(&o.topology.TCP, "cc", "cubic", "TCP congestion control of the hosts")
	flags.BoolVar(&o.private, "private", os.Geteuid() != 0 || natlab.Inside(), "use namespaces that no other shell sees; needs no root")
	flags.Func("site", "NAME=KIND[,SETTING...]; may be repeated", func(word string) error {
		site, err := natlab.ParseSite(word)
		o.topology.Sites = append(o.topology.Sites, site)
		return err
	})
	err := flags.Parse(args)
	o.args = flags.Args()
	return o, err
}

const usage = "usage: natlab run|up|exec|cut|restore|flush|clean [options] ...; natlab run -h tells more"

func run(args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	o, err := parse(args[0], args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	prefix := o.topology.Prefix
	switch args[0] {
	case "run", "up":
		return lab(args[0] == "run", o)
	case "exec":
		return execOn(prefix, o.args)
	case "clean":
		return natlab.Clean(prefix)
	}
	act, known := map[string]func(prefix, site string) error{
		"cut": natlab.Cut, "restore": natlab.Restore, "flush": natlab.FlushNAT,
	}[args[0]]
	switch {
	case !known:
		return fmt.Errorf("unknown subcommand %q; %s", args[0], usage)
	case len(o.args) != 1:
		return fmt.Errorf("%s needs the name of one site", args[0])
	}
	return act(prefix, o.args[0])
}

func lab(command bool, o options) error {
	if command == (len(o.args) == 0) {
		return errors.New("run needs a command after --, and up takes none")
	}
	if err := natlab.Available(); err != nil {
		return err
	}
	if o.private {
		if err := natlab.Enter(); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := natlab.Build(o.topology)
	if err != nil {
		return err
	}
	if command {
		err = runIn(ctx, l, o)
	} else {
		fmt.Println(strings.Join(environment(l, o.topology.Prefix), "\n"))
		<-ctx.Done()
	}
	return errors.Join(err, l.Close())
}

func runIn(ctx context.Context, l *natlab.Lab, o options) error {
	cmd := exec.CommandContext(ctx, o.args[0], o.args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = append(os.Environ(), environment(l, o.topology.Prefix)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

func environment(l *natlab.Lab, prefix string) []string {
	env := []string{"NATLAB_PREFIX=" + prefix}
	for _, host := range l.Hosts() {
		name := strings.ReplaceAll(host, "-", "_")
		env = append(env,
			"NATLAB_NS_"+name+"="+l.Namespace(host), "NATLAB_ADDR_"+name+"="+l.Addr(host),
			"NATLAB_PUBLIC_"+name+"="+l.PublicAddr(host), "NATLAB_GATEWAY_"+name+"="+l.Gateway(host))
	}
	return env
}

// execOn replaces this process with the command, so that its process id and status are the command's.
func execOn(prefix string, args []string) error {
	if len(args) < 2 {
		return errors.New("exec needs a host and a command")
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return err
	}
	argv := append([]string{"nsenter", "--net=/run/netns/" + prefix + "-" + args[0], "--"}, args[1:]...)
	return syscall.Exec(nsenter, argv, os.Environ())
}
