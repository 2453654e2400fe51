package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/lightnode"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
)

// sessions imitates Rhizome's SuperNodes.
type sessions struct {
	options
	stats     *stats
	join      string
	noSession bool
	ticket    ticket.Ticket
}

func (s *sessions) flags(set *flag.FlagSet) {
	set.StringVar(&s.join, "join", "", "ticket, or @FILE with one")
	set.BoolVar(&s.noSession, "no-session", false, "join and stay connected, without a session")
}

func (s *sessions) prepare(o options, stats *stats) error {
	s.options, s.stats = o, stats
	text := s.join
	if path, isFile := strings.CutPrefix(text, "@"); isFile {
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the ticket: %w", err)
		}
		text = string(content)
	}
	var err error
	s.ticket, err = ticket.Parse(strings.TrimSpace(text))
	return err
}

// run is one node's life.
func (s *sessions) run(ctx context.Context, index int) {
	began := time.Now()
	online := false
	node, err := lightnode.New(lightnode.Config{
		Ticket: s.ticket, Name: fmt.Sprintf("fake%d", index), Delay: s.delay, NoSession: s.noSession,
		Opened: func() {
			s.stats.took("join", time.Since(began), nil)
			if !online {
				online = true
				s.stats.change(+1)
			}
		},
		Replied: func(took time.Duration) {
			s.stats.took("offer-to-ack", took, nil)
			s.stats.replied()
		},
	})
	if err != nil {
		s.stats.took("start", 0, err)
		return
	}
	defer node.Close()
	if err := node.Run(ctx); err != nil && !errors.Is(err, context.Cause(ctx)) {
		s.stats.took("session", 0, err)
	}
}
