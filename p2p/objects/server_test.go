package objects

import (
	"bufio"
	"context"
	"testing"
	"testing/synctest"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/objects/exchangepb"
)

func TestABusyServerHasPeersComeAgain(t *testing.T) {
	dir := newDir(t)
	_, ids := fillStore(t, dir, 100)
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		s := serverFor(dir, ServerOptions{Serving: 1, Queued: 1, PerPeer: 1, Pace: func(context.Context, peer.ID, int) error { <-free; return nil }})
		status := func(p peer.ID) exchangepb.Answer_Status {
			a, err := readAnswer(bufio.NewReader(s.asks(t, p, ids[0])), want{id: ids[0]}, func() {})
			if err != nil {
				t.Errorf("a stream of %s: %v", string(p), err)
			}
			return a.status
		}
		if got := status("a"); got != exchangepb.Answer_OK {
			t.Errorf("the first is told %v", got)
		}
		if got := status("a"); got != exchangepb.Answer_BUSY { // its own limit
			t.Errorf("its second stream is told %v", got)
		}
		queued := s.asks(t, "b", ids[0])
		synctest.Wait()
		if got := status("c"); got != exchangepb.Answer_BUSY { // everybody's limit
			t.Errorf("a third peer is told %v", got)
		}
		close(free)
		if a, err := readAnswer(bufio.NewReader(queued), want{id: ids[0]}, func() {}); a.status != exchangepb.Answer_OK || err != nil {
			t.Errorf("who waited is told %v (%v)", a.status, err)
		}
		s.Close()
	})
}
