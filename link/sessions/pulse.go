package sessions

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// pulse looks at all sessions in every heartbeat: it asks nodes that say nothing for a sign of
// life, and gives up those that have gone silent.
//
// Sessions are looked at together. What an idle process costs depends on how often it wakes, much
// more than on what it does then, and questions that are asked together are answered together. Only
// so many are looked at at a time, though, so that the work of other sessions does not have to wait.
type pulse struct {
	beat time.Duration
	wake chan struct{}

	mu       sync.Mutex
	sessions map[*peerSession]struct{}
}

func newPulse(beat time.Duration) *pulse {
	return &pulse{beat: beat, wake: make(chan struct{}, 1), sessions: make(map[*peerSession]struct{})}
}

// add has a session looked at until remove is called.
func (p *pulse) add(ps *peerSession) {
	p.mu.Lock()
	p.sessions[ps] = struct{}{}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pulse) remove(ps *peerSession) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, ps)
}

func (p *pulse) all() []*peerSession {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.sessions))
}

// run looks until ctx ends; while there are no sessions it sleeps.
func (p *pulse) run(ctx context.Context) {
	timer := time.NewTimer(p.beat)
	defer timer.Stop()
	for {
		groups := slices.Collect(slices.Chunk(p.all(), lookBatch))
		pause, patience := p.beat, p.beat/2
		switch {
		case len(groups) == 0:
			select {
			case <-ctx.Done():
				return
			case <-p.wake:
			}
			groups = [][]*peerSession{nil} // look a beat from now
		case len(groups) > 1:
			// Nodes ask of their own accord when they hear nothing. Where there are many, asking all of
			// them in each beat would cost more than it saves.
			pause, patience = p.beat/time.Duration(len(groups)), p.beat
		}
		for _, group := range groups {
			now := time.Now()
			for _, ps := range group {
				ps.look(now, patience)
			}
			timer.Reset(pause)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
	}
}
