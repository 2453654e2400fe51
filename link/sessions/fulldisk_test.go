package sessions

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// fullStore cannot record who comes and goes while it is full.
type fullStore struct {
	state.Store
	full    atomic.Bool
	refused atomic.Int64
}

var errFull = errors.New("no space left")

func (s *fullStore) refuse() error {
	if !s.full.Load() {
		return nil
	}
	s.refused.Add(1)
	return errFull
}

func (s *fullStore) ActivateNode(ctx context.Context, id uint64, interval time.Duration, until time.Time, takeover bool) error {
	if err := s.refuse(); err != nil {
		return err
	}
	return s.Store.ActivateNode(ctx, id, interval, until, takeover)
}

func (s *fullStore) TouchNode(ctx context.Context, id uint64, interval time.Duration, until time.Time) (bool, error) {
	if err := s.refuse(); err != nil {
		return false, err
	}
	return s.Store.TouchNode(ctx, id, interval, until)
}

func (s *fullStore) DeactivateNode(ctx context.Context, id uint64) error {
	if err := s.refuse(); err != nil {
		return err
	}
	return s.Store.DeactivateNode(ctx, id)
}

func newFullHub(t *testing.T) (*hub, *fullStore) {
	t.Helper()
	store := &fullStore{}
	h := newHub(t, func(c *Config) {
		store.Store = c.Store
		c.Store = store
	})
	return h, store
}

// A node that cannot be let in now is told at once, instead of meeting silence.
func TestSessionThatCanNotBeginIsEnded(t *testing.T) {
	h, store := newFullHub(t)
	n := newNode(t, h)
	store.full.Store(true)
	n.dial()
	n.send(&sessionpb.Frame{Body: &sessionpb.Frame_Hello{Hello: &sessionpb.Hello{Version: version}}})
	n.expectEnd()
	store.full.Store(false)
	n.join(&sessionpb.Hello{})
}

// The departure of a node is recorded as soon as there is room, without a restart.
func TestEndOfASessionIsNotedWhenThereIsRoom(t *testing.T) {
	h, store := newFullHub(t)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	store.full.Store(true)
	n.send(&sessionpb.Frame{Body: &sessionpb.Frame_Bye{Bye: &sessionpb.Bye{}}})
	h.await("the attempt to record it", func() bool { return store.refused.Load() > 0 })
	store.full.Store(false)
	h.await("the node to be offline", func() bool {
		known, err := h.store.Node(t.Context(), n.id)
		return err == nil && known.Status == state.NodeOffline
	})
}
