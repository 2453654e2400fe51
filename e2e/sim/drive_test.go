package sim

import (
	"context"
	"fmt"
	"time"
)

// drive runs one simulation: faults, then peace, then the checks.
func (w *simulation) drive() {
	ctx, stop := context.WithCancel(context.Background())
	for _, n := range w.nodes {
		n.start()
		w.apps.Go(func() { n.superExec(ctx) })
	}
	for range simSteps {
		w.something()
		time.Sleep(w.dice.upTo(3 * time.Second))
		w.raise()
		w.serverApps()
	}
	w.calm()
	w.settle()
	w.check()
	stop()
	w.apps.Wait()
	for _, n := range w.nodes {
		n.end()
	}
	w.link.end()
	w.sessions.Wait()
}

// something makes one random thing happen.
func (w *simulation) something() {
	n := w.nodes[w.dice.n(len(w.nodes))]
	switch w.dice.n(11) {
	case 0:
		w.newRun()
	case 1:
		if len(w.runs) > 1 {
			w.stopRun(w.runs[w.dice.n(len(w.runs))])
		}
	case 2:
		if line := n.present(); line != nil {
			_ = line.Reset()
		}
	case 3:
		if line := n.present(); line != nil {
			line.blackhole(w.dice.oneIn(2), w.dice.oneIn(2))
		}
	case 4:
		if one := n.now(); one != nil {
			one.arm(1 + w.dice.n(4))
		}
	case 5:
		if one := w.linkNow(); one != nil {
			one.arm(1 + w.dice.n(6))
		}
	case 6:
		if one := n.now(); one != nil && w.dice.oneIn(2) {
			one.crash()
		} else if link := w.linkNow(); link != nil {
			link.crash()
		}
	case 7:
		n.unplug(w.dice.upTo(2 * grace))
	default:
		w.work()
	}
}

// work gives an instruction to some node, in some run that goes on.
func (w *simulation) work() {
	if len(w.runs) == 0 {
		w.newRun()
		return
	}
	r, n := w.runs[w.dice.n(len(w.runs))], w.nodes[w.dice.n(len(w.nodes))]
	id := w.ledger.nodeID(n.id)
	if r.stopped || id == 0 {
		return
	}
	for range 1 + w.dice.n(3) {
		w.instruct(r, id)
	}
}

// raise buries the processes that have crashed, and restarts those that have been down long enough.
func (w *simulation) raise() {
	now := time.Now()
	if one := w.link.linkLife; one != nil && one.alive() != nil {
		w.link.end()
		w.back[w.link] = now.Add(w.down())
	} else if one == nil && !w.back[w.link].After(now) {
		w.link.start()
	}
	for _, n := range w.nodes {
		if one := n.now(); one != nil && one.alive() != nil {
			n.end()
			w.back[n] = now.Add(w.down())
		} else if one == nil && !w.back[n].After(now) {
			n.start()
		}
	}
}

// down is how long a process is down: mostly a restart, sometimes longer than the grace period.
func (w *simulation) down() time.Duration {
	if w.dice.oneIn(5) {
		return w.dice.upTo(2 * grace)
	}
	return w.dice.upTo(4 * time.Second)
}

// calm ends all faults. Runs that were to be stopped are stopped again, to make sure that they are.
func (w *simulation) calm() {
	w.mu.Lock()
	w.faulty = false
	w.mu.Unlock()
	if w.link.linkLife != nil {
		w.link.arm(0)
	}
	for _, n := range w.nodes {
		if one := n.now(); one != nil {
			one.arm(0)
		}
	}
	for _, n := range w.nodes {
		n.unplug(0)
	}
	w.raise()
	clear(w.back)
	w.raise()
	for _, r := range w.runs {
		if r.stopped {
			w.stopRun(r)
		}
	}
}

// settle waits until nothing is open any more.
func (w *simulation) settle() {
	for end := time.Now().Add(settleLimit); ; {
		w.serverApps()
		open := w.open()
		if len(open) == 0 {
			return
		}
		if time.Now().After(end) {
			w.t.Errorf("not settled %v after the last fault: %v", settleLimit, open)
			return
		}
		time.Sleep(4 * time.Second)
	}
}

// open lists what has not been settled yet.
func (w *simulation) open() (what []string) {
	for _, r := range w.runs {
		if !r.stopped && len(r.unsent) > 0 {
			what = append(what, fmt.Sprintf("%d instructions of run %d are not sent", len(r.unsent), r.id))
		}
		for _, id := range r.instructions {
			if !r.stopped && !w.ledger.settled(id) {
				what = append(what, fmt.Sprintf("instruction %.8s of run %d", id, r.id))
			}
		}
	}
	ended := make(map[uint64]bool)
	for _, r := range w.runs {
		ended[r.id] = r.stopped
	}
	for i, n := range w.nodes {
		inv, err := n.now().store.Inventory(context.Background())
		w.must(err)
		if len(inv.Accepted)+len(inv.Answered) > 0 {
			what = append(what, fmt.Sprintf("node %d has %d messages and %d answers", i, len(inv.Accepted), len(inv.Answered)))
		}
		for _, id := range inv.RunIDs {
			if ended[id] {
				what = append(what, fmt.Sprintf("node %d has the stopped run %d", i, id))
			}
		}
		if _, open := w.link.server.Connected(n.id); !open || !n.now().client.Status().Open {
			what = append(what, fmt.Sprintf("node %d is not connected", i))
		}
	}
	return what
}

// check verifies what must be true at the end.
func (w *simulation) check() {
	stopped := make(map[string]bool)
	for _, r := range w.runs {
		for _, id := range r.instructions {
			stopped[id] = r.stopped
		}
	}
	w.ledger.checkDelivered(func(id string) bool { return stopped[id] })
	for i, n := range w.nodes {
		identity, err := n.now().store.Identity(context.Background())
		w.must(err)
		known, err := w.link.store.NodeByPeer(context.Background(), n.id.String())
		w.must(err)
		if told := w.ledger.nodeID(n.id); identity.NodeID != told || known.ID != told {
			w.t.Errorf("node %d thinks it is %d, the link has %d, told was %d", i, identity.NodeID, known.ID, told)
		}
	}
}
