package swarm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// lineState is how a line stands.
//
//	trying ──► up ──► down ──► up ...
//	   └───────────────▲
type lineState int

const (
	lineTrying lineState = iota
	lineUp
	lineDown
)

// line is a search's stream to one peer, made anew after it broke. What it tells the peer
// is guarded by the search.
type line struct {
	search *search
	to     objects.Provider
	hub    bool
	stop   context.CancelFunc // of a neighbour's
	wake   chan struct{}

	state lineState
	asked map[string]struct{} // and not here yet
	next  int                 // where to go on in the search's ids
	got   []string            // to be told
	liars []peer.ID           // to be told to the hub
	alone bool                // as the hub was told
}

func newLine(q *search, to objects.Provider, hub bool) *line {
	return &line{search: q, to: to, hub: hub, wake: make(chan struct{}, 1), asked: make(map[string]struct{})}
}

func (l *line) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *line) gotLocked(id string) {
	if _, asked := l.asked[id]; asked {
		delete(l.asked, id)
		l.got = append(l.got, id)
		l.wakeUp()
	}
}

// run holds the line until ctx ends. A hub that cannot be asked, or does not know this node
// in the run, is taken as one that gives everything.
func (l *line) run(ctx context.Context) {
	q := l.search
	pause := retry.Between(firstPause, maxPause)
	for failed := 1; ; failed++ {
		joins := q.joins()
		began := time.Now()
		err := l.hold(ctx)
		if ctx.Err() != nil {
			if !l.hub {
				q.found.Lost(l.to.Peer)
			}
			return
		}
		log.Debug("no line of a swarm", "peer", l.to.Peer, "run", q.runID, "err", err)
		if time.Since(began) > maxPause {
			failed = 1
			pause.Reset()
		}
		if l.hub && failed >= hubTries {
			q.found.Has(l.to, q.ids)
		} else if !l.hub {
			q.found.Lost(l.to.Peer)
		}
		l.down()
		l.rest(ctx, pause.Next(), joins)
	}
}

// rest pauses, until the peer connects at the latest.
func (l *line) rest(ctx context.Context, pause time.Duration, joins <-chan struct{}) {
	q := l.search
	for end := time.Now().Add(pause); ctx.Err() == nil && time.Now().Before(end); {
		was := q.hasDirect(l.to.Peer)
		retry.SleepUnless(ctx, time.Until(end), joins)
		if joins = q.joins(); !was && q.hasDirect(l.to.Peer) {
			return
		}
	}
}

// down notes that the peer cannot be had for now; it has forgotten what it was asked.
func (l *line) down() {
	q := l.search
	q.mu.Lock()
	defer q.mu.Unlock()
	l.state, l.next, l.got, l.alone = lineDown, 0, nil, false
	clear(l.asked)
	q.hubLine.wakeUp()
}

// hold opens a stream, asks and hears until it breaks.
func (l *line) hold(ctx context.Context) error {
	stream, err := l.open(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { _ = stream.Reset() })()
	q := l.search
	q.mu.Lock()
	l.state = lineUp
	q.hubLine.wakeUp()
	q.mu.Unlock()
	written := make(chan struct{})
	go func() {
		defer close(written)
		cancel(l.ask(ctx, stream))
	}()
	err = l.hear(stream)
	cancel(err)
	<-written
	_ = stream.Reset()
	return context.Cause(ctx)
}

// ask tells the peer what is wanted, and what has come.
func (l *line) ask(ctx context.Context, stream network.Stream) error {
	for runID := l.search.runID; ; runID = 0 {
		ask, news := l.compose()
		for !news && runID == 0 {
			select {
			case <-l.wake:
			case <-ctx.Done():
				return ctx.Err()
			}
			ask, news = l.compose()
		}
		_ = stream.SetWriteDeadline(time.Now().Add(writeLimit))
		if err := writeAsk(stream, runID, ask); err != nil {
			return fmt.Errorf("ask: %w", err)
		}
	}
}

// compose takes what is to be said next; news is false when there is nothing.
func (l *line) compose() (ask Ask, news bool) {
	q := l.search
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(l.got), maxAsked)
	ask.Got, l.got = l.got[:n:n], l.got[n:]
	ask.Want = l.wantsLocked()
	if l.hub {
		ask.Liars, l.liars = l.liars, nil
		ask.Alone = q.aloneLocked()
		news = ask.Alone != l.alone
		l.alone = ask.Alone
	}
	return ask, news || len(ask.Got)+len(ask.Want)+len(ask.Liars) > 0
}

// wantsLocked takes the next ids that may be asked of this peer.
func (l *line) wantsLocked() (wants []string) {
	q := l.search
	for l.next < len(q.ids) && len(l.asked) < maxAsked {
		end := min(l.next+maxAsked-len(l.asked), len(q.ids))
		some := q.ids[l.next:end]
		if !l.hub {
			some = q.board.sharedOf(q.runID, some)
		}
		for _, id := range some {
			_, missing := q.missing[id]
			if _, asked := l.asked[id]; missing && !asked {
				l.asked[id] = struct{}{}
				wants = append(wants, id)
			}
		}
		l.next = end
	}
	return wants
}

// hear takes what the peer says it has.
func (l *line) hear(stream network.Stream) error {
	in := bufio.NewReaderSize(stream, lineBuffer)
	for {
		_ = stream.SetReadDeadline(time.Now().Add(silence))
		have, err := readTell(in)
		if err != nil {
			return err
		}
		if l.hub {
			l.search.found.Alive()
		}
		have = slices.DeleteFunc(have, func(id string) bool { return !l.wanted(id) })
		if len(have) > 0 {
			l.search.found.Has(l.to, have)
		}
	}
}

// wanted reports whether the peer was asked for it. Nobody else's word is taken for anything.
func (l *line) wanted(id string) bool {
	l.search.mu.Lock()
	defer l.search.mu.Unlock()
	_, asked := l.asked[id]
	return asked
}

// open returns a stream: to the hub on any connection that there is, to a neighbour on a direct
// one, which it dials.
func (l *line) open(ctx context.Context) (network.Stream, error) {
	h := l.search.host
	if !l.hub {
		if err := l.connect(ctx); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	ctx = network.WithNoDial(ctx, "swarm")
	if l.hub {
		ctx = network.WithAllowLimitedConn(ctx, "swarm")
	}
	stream, err := h.NewStream(ctx, l.to.Peer, ProtocolID)
	if err != nil {
		return nil, fmt.Errorf("open a stream: %w", err)
	}
	if !l.hub && addr.Relayed(stream.Conn()) {
		_ = stream.Reset()
		return nil, errors.New("there is no direct connection")
	}
	return stream, nil
}

// connect makes sure that there is a direct connection.
func (l *line) connect(ctx context.Context) error {
	q := l.search
	if q.hasDirect(l.to.Peer) {
		return nil
	}
	if q.host.ID() > l.to.Peer {
		joins := q.joins()
		for deadline := time.Now().Add(yield); !q.hasDirect(l.to.Peer) && time.Now().Before(deadline) && ctx.Err() == nil; joins = q.joins() {
			retry.SleepUnless(ctx, time.Until(deadline), joins)
		}
		if q.hasDirect(l.to.Peer) {
			return nil
		}
	}
	if len(l.to.Addrs) == 0 {
		return errors.New("it has no address that this node may know")
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	ctx = network.WithForceDirectDial(ctx, "swarm")
	if err := q.host.Connect(ctx, peer.AddrInfo{ID: l.to.Peer, Addrs: l.to.Addrs}); err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	return nil
}
