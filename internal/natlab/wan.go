//go:build linux

package natlab

import (
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultQueue = 256 << 10
	// inFlight bounds the frames on a line: 16 Ki of 1500 bytes are 250 ms at 800 Mbit/s.
	inFlight = 16 << 10
	// packetHeaders is roughly what each further packet of a super-frame adds on the wire.
	packetHeaders = 40
)

// LinkStats counts the frames of a link, both directions together, to show whether it was
// the lab that dropped something.
type LinkStats struct{ Sent, Lost, Overflowed int64 }

// wan is a running link: two TUN devices, and for each direction one goroutine that reads each
// frame and decides about it, and one that sends it when it is due.
type wan struct {
	link  Link
	a, b  *os.File
	ended chan struct{}
	work  sync.WaitGroup

	outward, inward loss // see Lose; a is the site's end

	sent, lost, overflowed atomic.Int64
}

// startWAN creates device nameA in nsA and nameB in nsB and joins them.
func startWAN(link Link, nsA, nameA, nsB, nameB string) (*wan, error) {
	if link.Queue == 0 {
		link.Queue = defaultQueue
	}
	if link.Loss > 0 {
		link.GSO = false
	}
	a, err := openTUN(nsA, nameA, link.GSO)
	if err != nil {
		return nil, err
	}
	b, err := openTUN(nsB, nameB, link.GSO)
	if err != nil {
		_ = a.Close()
		return nil, err
	}
	w := &wan{link: link, a: a, b: b, ended: make(chan struct{})}
	w.carry(a, b, &w.outward)
	w.carry(b, a, &w.inward)
	return w, nil
}

func (w *wan) close() error {
	close(w.ended)
	err := errors.Join(w.a.Close(), w.b.Close())
	w.work.Wait()
	return err
}

func (w *wan) stats() LinkStats {
	return LinkStats{Sent: w.sent.Load(), Lost: w.lost.Load(), Overflowed: w.overflowed.Load()}
}

// carry starts one direction.
func (w *wan) carry(from, to *os.File, oneWay *loss) {
	line := make(chan frame, inFlight)
	w.work.Go(func() { w.receive(from, line, oneWay) })
	w.work.Go(func() { w.deliver(line, to) })
}

type frame struct {
	due  time.Time
	data []byte
}

// receive reads frames until the device is closed.
func (w *wan) receive(from *os.File, line chan<- frame, oneWay *loss) {
	defer close(line)
	var schedule schedule
	buf := make([]byte, 65535+vnetHeader)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if n <= vnetHeader {
			continue
		}
		if oneWay.takes() || w.link.Loss > 0 && rand.Float64() < w.link.Loss {
			w.lost.Add(1)
			continue
		}
		due, fits := schedule.next(w.link, time.Now(), n-vnetHeader+(packets(buf[:n])-1)*packetHeaders)
		if !fits {
			w.overflowed.Add(1)
			continue
		}
		select {
		case line <- frame{due, append([]byte(nil), buf[:n]...)}:
		default:
			w.overflowed.Add(1)
		}
	}
}

// deliver sends frames when they are due, in order.
func (w *wan) deliver(line <-chan frame, to *os.File) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for f := range line {
		if d := time.Until(f.due); d > 0 {
			timer.Reset(d)
			select {
			case <-timer.C:
			case <-w.ended:
				return
			}
		}
		if _, err := to.Write(f.data); err == nil { // a device that is down drops the frame
			w.sent.Add(1)
		}
	}
}

// schedule computes when the frames of one direction arrive.
type schedule struct {
	free time.Time // when the line will have sent what it has accepted
	last time.Time // when the last frame arrives
}

// next accepts a frame of size bytes, or has no room for it.
func (s *schedule) next(link Link, now time.Time, size int) (due time.Time, fits bool) {
	due = now
	if link.Rate > 0 {
		if s.free.Before(now) {
			s.free = now
		}
		backlog := s.free.Sub(now).Seconds() * float64(link.Rate) / 8
		if backlog > 0 && backlog+float64(size) > float64(link.Queue) {
			return due, false
		}
		s.free = s.free.Add(time.Duration(float64(size) * 8 / float64(link.Rate) * float64(time.Second)))
		due = s.free
	}
	due = due.Add(link.Delay)
	if link.Jitter > 0 {
		due = due.Add(rand.N(link.Jitter))
	}
	if due.Before(s.last) {
		due = s.last
	}
	s.last = due
	return due, true
}
