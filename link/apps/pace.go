package apps

import (
	"slices"
	"sync"
	"time"
)

// pacer decides how long a ServerApp's pull-messages is held, by the rhythm that its client has
// shown. A client of send_and_receive wants all replies: a partial answer costs it 3 s of sleep,
// so the pull is held until everything is there; the longer its rounds take, the longer the hold.
// An asynchronous client wants whatever is there, now.
//
//	         pull overlaps an open round, and
//	         comes < asyncGap after a partial answer, or brings new ids
//	waiting ──────────────────────────────────────────────────────────► asynchronous
//	for all ◄──────────────────────────────────────────────────────────
//	         comes >= asyncGap after an empty answer, without new ids
//
// A pacer holds only hints: losing them in a restart costs a short hold.
type pacer struct {
	mu    sync.Mutex
	tasks map[uint64]*rhythm
}

// rhythm is what was seen of one task.
type rhythm struct {
	asynchronous bool
	longest      time.Duration // the longest round that was answered in full
	rounds       []*round      // the least recently asked first, at most maxRounds
}

// round is a set of messages that are waited for together.
type round struct {
	open     map[string]struct{}
	first    time.Time // when the first of them was asked for
	answered time.Time // when the last answer left something open; zero before
	empty    bool      // that answer had nothing in it
}

// pull is one request for answers.
type pull struct {
	pacer *pacer
	task  uint64
	round *round
	// eager: answer as soon as anything is there.
	eager bool
	// hold is how long to wait for what eager asks for.
	hold time.Duration
}

func newPacer() *pacer { return &pacer{tasks: make(map[uint64]*rhythm)} }

// begin records that a task asks for answers to ids, and says how to wait for them.
func (p *pacer) begin(task uint64, ids []string, now time.Time) *pull {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.tasks[task]
	if r == nil {
		r = &rhythm{}
		p.tasks[task] = r
	}
	current := r.roundOf(ids, now)
	hold := holdAsync
	if !r.asynchronous {
		hold = min(holdMost, max(holdFirst, now.Sub(current.first), r.longest*3/2))
	}
	return &pull{pacer: p, task: task, round: current, eager: r.asynchronous, hold: hold}
}

// roundOf finds the round that ids continue, learns from when and how it is continued, and makes
// it the most recent one.
func (r *rhythm) roundOf(ids []string, now time.Time) *round {
	at := slices.IndexFunc(r.rounds, func(known *round) bool {
		return slices.ContainsFunc(ids, func(id string) bool { _, open := known.open[id]; return open })
	})
	if at < 0 {
		if len(r.rounds) == maxRounds {
			r.rounds = slices.Delete(r.rounds, 0, 1)
		}
		fresh := &round{open: make(map[string]struct{}, len(ids)), first: now}
		fresh.add(ids)
		r.rounds = append(r.rounds, fresh)
		return fresh
	}
	known := r.rounds[at]
	r.rounds = append(slices.Delete(r.rounds, at, at+1), known)
	grown := known.add(ids)
	if known.answered.IsZero() {
		return known // a repeated request whose answer was lost says nothing about the rhythm
	}
	gap := now.Sub(known.answered)
	switch {
	case grown || gap < asyncGap:
		r.asynchronous = true
	case known.empty:
		r.asynchronous = false
	}
	return known
}

func (r *round) add(ids []string) (grown bool) {
	before := len(r.open)
	for _, id := range ids {
		r.open[id] = struct{}{}
	}
	return len(r.open) > before
}

// enough reports whether to answer before the hold is over.
func (p *pull) enough(answered, asked int) bool {
	return answered == asked || p.eager && answered > 0
}

// answered records what the client was given.
func (p *pull) answered(ids []string, now time.Time) {
	p.pacer.mu.Lock()
	defer p.pacer.mu.Unlock()
	for _, id := range ids {
		delete(p.round.open, id)
	}
	p.round.answered, p.round.empty = now, len(ids) == 0
	r := p.pacer.tasks[p.task]
	if r == nil || len(p.round.open) > 0 {
		return
	}
	r.longest = max(r.longest, now.Sub(p.round.first))
	r.rounds = slices.DeleteFunc(r.rounds, func(known *round) bool { return known == p.round })
}

// forget drops what is known about a task that has ended.
func (p *pacer) forget(task uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.tasks, task)
}
