package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// stats collects what all nodes observe, for the report interval and for the whole run.
type stats struct {
	nodes int

	mu                sync.Mutex
	online            int
	interval, overall figures
}

type figures struct {
	latency map[string][]float64 // milliseconds, by kind of request
	errors  map[string]int
	replies int
}

func newFigures() figures {
	return figures{latency: map[string][]float64{}, errors: map[string]int{}}
}

func newStats(nodes int) *stats {
	return &stats{nodes: nodes, interval: newFigures(), overall: newFigures()}
}

// each changes both sets of figures.
func (s *stats) each(change func(*figures)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.interval)
	change(&s.overall)
}

func (s *stats) took(what string, d time.Duration, err error) {
	s.each(func(f *figures) {
		if err != nil {
			f.errors[what+": "+err.Error()]++
			return
		}
		f.latency[what] = append(f.latency[what], float64(d.Microseconds())/1000)
	})
}

func (s *stats) replied() { s.each(func(f *figures) { f.replies++ }) }

func (s *stats) change(online int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.online += online
}

// reportEvery prints a line each interval until ctx ends.
func (s *stats) reportEvery(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.print("interval", &s.interval, every)
			s.mu.Lock()
			s.interval = newFigures()
			s.mu.Unlock()
		}
	}
}

func (s *stats) print(kind string, f *figures, wall time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	total, paths := 0, map[string]any{}
	for path, all := range f.latency {
		slices.Sort(all)
		total += len(all)
		at := func(q float64) float64 { return all[int(q*float64(len(all)-1))] }
		paths[path] = map[string]any{"n": len(all), "p50_ms": at(.5), "p99_ms": at(.99), "max_ms": at(1)}
	}
	line, err := json.Marshal(map[string]any{
		"kind": kind, "nodes": s.nodes, "online": s.online, "replies": f.replies,
		"requests_per_s": math.Round(float64(total)/wall.Seconds()*10) / 10,
		"errors":         f.errors, "latency": paths,
	})
	if err != nil {
		panic(err) // there are only numbers and strings in it
	}
	fmt.Println(string(line))
}
