package relay

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

func TestStrangersCircuitEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := peer.ID("link")
		r := &Relay{roster: newRoster(false), books: newBooks(Limits{}.withDefaults()), refusals: newRefusals()}
		r.metrics, _ = newMetrics(nil, r)
		r.roster.setLinks([]peer.ID{link})
		circuit := func(src peer.ID) *stream {
			s := &stream{Stream: &script{}, relay: r, src: src, dst: link, ended: make(chan struct{})}
			if refusal := r.admit(s); refusal != nil {
				t.Fatal(refusal)
			}
			return s
		}
		stranger, joins := circuit("stranger"), circuit("joins")
		v := &silent{}
		r.roster.attach(link, v, "")
		r.roster.apply(link, v, change{add: []peer.ID{"joins"}})
		r.books.promote(link, []peer.ID{"joins"})

		time.Sleep(StrangerTime - time.Second)
		select {
		case <-stranger.ended:
			t.Error("a stranger had less time than it may have")
		default:
		}
		time.Sleep(2 * time.Second)
		<-stranger.ended
		if got := r.refusals.of("stranger"); got == nil || got.Reason != ReasonStrangerTime {
			t.Errorf("explained with %v", got)
		}
		select {
		case <-joins.ended:
			t.Error("the circuit of a peer that joined was cut")
		default:
			joins.end()
		}
		r.work.Wait()
	})
}

// onlyReader hides a stream's other methods from io.Copy.
type onlyReader struct{ io.Reader }

func BenchmarkThroughput(b *testing.B) {
	for _, relayed := range []bool{false, true} {
		b.Run(map[bool]string{false: "direct", true: "relayed"}[relayed], func(b *testing.B) {
			link, a := newHost(b), newHost(b)
			l := newLab(b, Options{Links: []peer.ID{link.ID()}})
			for _, h := range []host.Host{link, a} {
				l.join(h)
			}
			l.vouch(link, a)
			l.mustReserve(link)
			l.ctx = b.Context() // as long as it takes
			if relayed {
				if err := l.circuit(a, link); err != nil {
					b.Fatal(err)
				}
			} else if err := a.Connect(l.ctx, peer.AddrInfo{ID: link.ID(), Addrs: link.Addrs()}); err != nil {
				b.Fatal(err)
			}
			link.SetStreamHandler("/test/sink", func(s network.Stream) {
				_, _ = io.CopyBuffer(io.Discard, onlyReader{s}, make([]byte, 64<<10))
			})
			s, err := a.NewStream(l.ctx, link.ID(), "/test/sink")
			if err != nil {
				b.Fatal(err)
			}
			chunk := make([]byte, 1<<20)
			b.SetBytes(int64(len(chunk)))
			for b.Loop() {
				if _, err := s.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			_ = s.Reset()
		})
	}
}
