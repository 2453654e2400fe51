package relay

import (
	"testing"
	"testing/synctest"
	"time"

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
