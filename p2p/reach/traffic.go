package reach

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// traffic counts the bytes that streams carried, by peer. libp2p's own counter keeps rates, for
// which it wakes every second; a caller that wants a rate asks twice.
type traffic struct {
	in, out atomic.Int64
	peers   sync.Map // peer.ID -> *counters; strangers are forgotten when they leave
}

type counters struct {
	in, out atomic.Int64 // of streams
	heard   atomic.Int64 // when something last came, as Unix nanoseconds
	left    atomic.Int64 // bytes that the kernel has taken for TCP connections to the peer itself
}

var _ metrics.Reporter = (*traffic)(nil)

func newTraffic() *traffic { return &traffic{} }

func (t *traffic) of(p peer.ID) *counters {
	if c, ok := t.peers.Load(p); ok {
		return c.(*counters)
	}
	c, _ := t.peers.LoadOrStore(p, new(counters))
	return c.(*counters)
}

func (t *traffic) forget(p peer.ID) { t.peers.Delete(p) }

// LogSentMessage counts bytes sent to anybody.
func (t *traffic) LogSentMessage(n int64) { t.out.Add(n) }

// LogRecvMessage counts bytes received from anybody.
func (t *traffic) LogRecvMessage(n int64) { t.in.Add(n) }

// LogSentMessageStream counts bytes sent in a stream.
func (t *traffic) LogSentMessageStream(n int64, _ protocol.ID, p peer.ID) { t.of(p).out.Add(n) }

// LogRecvMessageStream counts bytes received in a stream.
func (t *traffic) LogRecvMessageStream(n int64, _ protocol.ID, p peer.ID) {
	c := t.of(p)
	c.in.Add(n)
	c.heard.Store(time.Now().UnixNano())
}

// GetBandwidthForPeer returns the totals of a peer; rates are zero.
func (t *traffic) GetBandwidthForPeer(p peer.ID) metrics.Stats {
	c, ok := t.peers.Load(p)
	if !ok {
		return metrics.Stats{}
	}
	return metrics.Stats{TotalIn: c.(*counters).in.Load(), TotalOut: c.(*counters).out.Load()}
}

// GetBandwidthTotals returns the totals of all peers; rates are zero.
func (t *traffic) GetBandwidthTotals() metrics.Stats {
	return metrics.Stats{TotalIn: t.in.Load(), TotalOut: t.out.Load()}
}

// GetBandwidthByPeer returns the totals of each peer.
func (t *traffic) GetBandwidthByPeer() map[peer.ID]metrics.Stats {
	all := make(map[peer.ID]metrics.Stats)
	t.peers.Range(func(p, _ any) bool {
		all[p.(peer.ID)] = t.GetBandwidthForPeer(p.(peer.ID))
		return true
	})
	return all
}

// GetBandwidthForProtocol is always zero: protocols are not counted.
func (t *traffic) GetBandwidthForProtocol(protocol.ID) metrics.Stats { return metrics.Stats{} }

// GetBandwidthByProtocol is always nil: protocols are not counted.
func (t *traffic) GetBandwidthByProtocol() map[protocol.ID]metrics.Stats { return nil }

// Reset sets all counts to zero.
func (t *traffic) Reset() {
	t.in.Store(0)
	t.out.Store(0)
	t.peers.Clear()
}

// TrimIdle does nothing: the number of members bounds what is kept.
func (t *traffic) TrimIdle(time.Time) {}
