// Command fakenode imitates many SuperNodes in one process, to find out how many of them a
// SuperLink can serve.
//
//	fakenode fleet -addr HOST:PORT      stock SuperNodes: Flower's Fleet API over HTTP
//	fakenode session -join @FILE        Rhizome's SuperNodes: sessions over libp2p
//
// Each node answers every message with the message's own content, at once or after -delay. The
// command prints one JSON line per -report interval, and a summary at the end.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// options are those that both kinds have.
type options struct {
	count    int
	ramp     float64
	delay    time.Duration
	duration time.Duration
	report   time.Duration
}

func (o *options) flags(set *flag.FlagSet) {
	set.IntVar(&o.count, "n", 100, "number of nodes")
	set.Float64Var(&o.ramp, "ramp", 50, "nodes started per second")
	set.DurationVar(&o.delay, "delay", 0, "time between receiving a message and replying")
	set.DurationVar(&o.duration, "duration", time.Minute, "how long to run")
	set.DurationVar(&o.report, "report", 10*time.Second, "interval between report lines")
}

// kind makes the nodes of one kind; run returns when ctx ends.
type kind interface {
	flags(*flag.FlagSet)
	prepare(options, *stats) error
	run(ctx context.Context, index int)
}

func main() {
	kinds := map[string]kind{"fleet": &fleet{}, "session": &sessions{}}
	if len(os.Args) < 2 || kinds[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: fakenode fleet|session [flags]; fakenode fleet -h for the flags")
		os.Exit(2)
	}
	chosen := kinds[os.Args[1]]
	set := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	var o options
	o.flags(set)
	chosen.flags(set)
	_ = set.Parse(os.Args[2:]) // it exits on error

	stats := newStats(o.count)
	if err := chosen.prepare(o, stats); err != nil {
		fmt.Fprintln(os.Stderr, "fakenode:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	began := time.Now()
	var nodes sync.WaitGroup
	nodes.Go(func() { start(ctx, o, chosen, &nodes) })
	stats.reportEvery(ctx, o.report)
	nodes.Wait()
	stats.print("summary", &stats.overall, time.Since(began))
}

// start starts one node after another.
func start(ctx context.Context, o options, chosen kind, nodes *sync.WaitGroup) {
	for i := range o.count {
		nodes.Go(func() { chosen.run(ctx, i) })
		if !sleep(ctx, time.Duration(float64(time.Second)/o.ramp)) {
			return
		}
	}
}

// sleep returns false if ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
