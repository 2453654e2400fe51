package sessions

import (
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

func TestANodeHasFewStreams(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	conn, frames := n.conn, n.frames
	refused := make(chan *sessionpb.Refused, streamsPerPeer)
	for range streamsPerPeer { // together with the session, one too many
		n.dial() // and says nothing
		go func(frames <-chan *sessionpb.Frame) {
			if frame := <-frames; frame != nil {
				refused <- frame.GetRefused()
			}
		}(n.frames)
	}
	select {
	case r := <-refused:
		if r.GetReason() != sessionpb.Refused_BUSY {
			t.Errorf("refused as %v", r)
		}
	case <-time.After(patience):
		t.Fatal("every stream was taken")
	}
	if len(refused) > 0 {
		t.Errorf("another stream was refused: %v", <-refused)
	}
	n.conn, n.frames = conn, frames
	n.quiet() // the session goes on
}
