package sessions

import (
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// outbox is what is waiting to be sent in a session, and what the node has not settled yet.
// Others put things in without ever blocking; the pusher takes them out.
//
//	           offered           settled (Accept, Decline for good)
//	(leased) ──────────► open ───────────────────────────────────────► (gone)
//	    ▲                  │ rest (Decline)
//	    └──── resting ◄────┘
//	   declineDelay over
type outbox struct {
	wake chan struct{}

	mu       sync.Mutex
	cancels  map[uint64]string
	hints    [][]byte
	pingDue  bool
	overflow bool
	// lookDue says that the store may have instructions for the node.
	lookDue bool
	open    map[string]uint64 // run by message id
	resting []resting         // the first to wake first
	// runs that the node has to do with in this session.
	runs map[uint64]struct{}
}

type resting struct {
	id    string
	until time.Time
}

func newOutbox() *outbox {
	return &outbox{
		wake: make(chan struct{}, 1), lookDue: true,
		cancels: make(map[uint64]string), open: make(map[string]uint64), runs: make(map[uint64]struct{}),
	}
}

// change applies an edit and wakes the pusher.
func (o *outbox) change(edit func()) {
	o.mu.Lock()
	edit()
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (ps *peerSession) queueCancel(runID uint64, detail string) {
	ps.outbox.change(func() {
		if len(ps.outbox.cancels) >= maxQueued {
			ps.outbox.overflow = true
			return
		}
		ps.outbox.cancels[runID] = detail
		ps.outbox.forgetRunLocked(runID)
	})
}

// forgetRunLocked frees what a finished run held: the node will not settle it any more.
func (o *outbox) forgetRunLocked(runID uint64) {
	delete(o.runs, runID)
	for id, of := range o.open {
		if of == runID {
			delete(o.open, id)
		}
	}
}

func (ps *peerSession) queueHint(announcement []byte) {
	ps.outbox.change(func() {
		if len(ps.outbox.hints) < maxQueued { // a lost hint costs only time
			ps.outbox.hints = append(ps.outbox.hints, announcement)
		}
	})
}

func (o *outbox) ping() { o.change(func() { o.pingDue = true }) }

// look notes that the store should be asked for instructions.
func (o *outbox) look() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lookDue = true
}

// behind reports whether the node takes so little that things had to be left out.
func (o *outbox) behind() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.overflow
}

// take empties the outbox of everything but offers.
func (o *outbox) take() []*sessionpb.Frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	var frames []*sessionpb.Frame
	for runID, detail := range o.cancels {
		frames = append(frames, cancelFrame(runID, detail))
	}
	clear(o.cancels)
	for _, announcement := range o.hints {
		frames = append(frames, &sessionpb.Frame{Body: &sessionpb.Frame_RunHint{RunHint: &sessionpb.RunHint{Announcement: announcement}}})
	}
	o.hints = nil
	if o.pingDue {
		o.pingDue = false
		frames = append(frames, &sessionpb.Frame{Body: &sessionpb.Frame_Ping{Ping: &sessionpb.Ping{}}})
	}
	return frames
}

// room is how many instructions may be offered now; due is false when there is no reason
// to ask the store.
func (o *outbox) room() (room int, due bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	room = offerWindow - len(o.open) - len(o.resting)
	if room <= 0 || !o.lookDue {
		return 0, false
	}
	o.lookDue = false
	return room, true
}

func (o *outbox) offered(id string, runID uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open[id] = runID
	o.touchLocked(runID)
}

// settled takes a message out of the window and returns its run; was is false if it was not in it.
func (o *outbox) settled(id string) (runID uint64, was bool) {
	o.change(func() {
		runID, was = o.open[id]
		delete(o.open, id)
	})
	return runID, was
}

// rest moves an open message to those that will be offered again later.
func (o *outbox) rest(id string, until time.Time) (was bool) {
	o.change(func() {
		if _, was = o.open[id]; was {
			delete(o.open, id)
			o.resting = append(o.resting, resting{id, until})
		}
	})
	return was
}

// rested takes out the messages that have rested long enough, and tells when the next one will have.
func (o *outbox) rested(now time.Time) (ids []string, next time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.resting) > 0 && !o.resting[0].until.After(now) {
		ids = append(ids, o.resting[0].id)
		o.resting = o.resting[1:]
	}
	if len(o.resting) == 0 {
		return ids, idle
	}
	return ids, o.resting[0].until.Sub(now)
}

// touch notes that the node takes part in a run.
func (o *outbox) touch(runID uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.touchLocked(runID)
}

func (o *outbox) touchLocked(runID uint64) {
	if len(o.runs) < maxRuns {
		o.runs[runID] = struct{}{}
	}
}

func (o *outbox) touched(runID uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, yes := o.runs[runID]
	return yes
}
