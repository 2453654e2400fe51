//go:build linux

package natlab

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
)

// Direction on a site's uplink.
type Direction uint8

const (
	FromSite Direction = 1 << iota
	ToSite
	BothWays = FromSite | ToSite
)

// Lose makes an uplink lose each frame with a probability from now on, in addition to what its
// Link loses: 1 swallows everything silently, and 0 ends it. The other direction stays as it
// is. Only lines with a Link can do it, and since super-frames are bursts, those with GSO can
// lose only all or nothing.
func (l *Lab) Lose(site string, d Direction, probability float64) error {
	s, err := l.site(site)
	switch {
	case err != nil:
		return err
	case s.wan == nil:
		return fmt.Errorf("natlab: the line of site %q is ideal and loses nothing", site)
	case !(probability >= 0 && probability <= 1):
		return fmt.Errorf("natlab: loss of %v, want 0 to 1", probability)
	case s.wan.link.GSO && probability > 0 && probability < 1:
		return fmt.Errorf("natlab: site %q carries super-frames, which cannot be lost one by one", site)
	}
	if d&FromSite != 0 {
		s.wan.outward.set(probability)
	}
	if d&ToSite != 0 {
		s.wan.inward.set(probability)
	}
	return nil
}

// loss is the probability that a frame is lost, for one direction.
type loss struct{ bits atomic.Uint64 }

func (p *loss) set(probability float64) { p.bits.Store(math.Float64bits(probability)) }

// takes decides whether one frame is lost.
func (p *loss) takes() bool {
	probability := math.Float64frombits(p.bits.Load())
	return probability > 0 && rand.Float64() < probability
}
