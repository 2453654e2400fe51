package gossip

import (
	"context"
	"errors"
	"fmt"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Subscriber is a node's side. Its methods may be called from any goroutine.
type Subscriber struct {
	config       Config
	replays      *replays
	topic        *pubsub.Topic
	subscription *pubsub.Subscription
	stop         context.CancelFunc
}

// NewSubscriber starts gossip on a node's host. Close it before the host.
func NewSubscriber(h host.Host, c Config) (*Subscriber, error) { return newSubscriber(h, c) }

func newSubscriber(h host.Host, c Config, extra ...pubsub.Option) (*Subscriber, error) {
	ctx, stop := context.WithCancel(context.Background())
	s := &Subscriber{config: c, replays: newReplays(), stop: stop}
	var err error
	if s.topic, err = start(ctx, h, c, s.validate, extra...); err != nil {
		stop()
		return nil, err
	}
	if s.subscription, err = s.topic.Subscribe(pubsub.WithBufferSize(maxWaiting)); err != nil {
		stop()
		return nil, fmt.Errorf("subscribe to %s: %w", s.topic, err)
	}
	return s, nil
}

// Next waits for an announcement. When ctx ends or the Subscriber is closed it returns an
// error.
func (s *Subscriber) Next(ctx context.Context) (Announcement, error) {
	msg, err := s.subscription.Next(ctx)
	if err != nil {
		return Announcement{}, fmt.Errorf("wait for announcement: %w", err)
	}
	return msg.ValidatorData.(Announcement), nil // validate has put it there
}

// Verify opens an announcement that the link has sent through the session. It may be of any age:
// the session guarantees that it is the link that repeats it. It fails with [ErrSeen] when the
// announcement came before, either way; also with [ErrMalformed] and [ErrForged].
func (s *Subscriber) Verify(raw []byte) (Announcement, error) {
	a, err := Open(raw, s.config.Link, s.config.Federation)
	if err != nil {
		return Announcement{}, err
	}
	return a, s.replays.first(a, time.Now())
}

// Close ends gossip on the host and makes Next return.
func (s *Subscriber) Close() {
	s.subscription.Cancel()
	s.stop()
}

// validate judges what comes by gossip, and who brings it.
func (s *Subscriber) validate(_ context.Context, from peer.ID, msg *pubsub.Message) pubsub.ValidationResult {
	a, err := s.accept(msg.GetData(), time.Now())
	if err == nil {
		msg.ValidatorData = a
		return pubsub.ValidationAccept
	}
	log.Debug("announcement dropped", "peer", from, "err", err)
	if s.blame(from, a, err) {
		return pubsub.ValidationReject
	}
	return pubsub.ValidationIgnore
}

// accept opens what comes by gossip.
func (s *Subscriber) accept(raw []byte, now time.Time) (Announcement, error) {
	a, err := Open(raw, s.config.Link, s.config.Federation)
	if err != nil {
		return a, err
	}
	if age := now.Sub(a.Created); age > Window || age < -Window || s.replays.forgotten(a) {
		return a, fmt.Errorf("%w: it is of %s", ErrLate, a.Created.UTC().Format(time.RFC3339))
	}
	return a, s.replays.first(a, now)
}

// blame reports whether no honest member could have forwarded it. A late announcement is not
// blamed on the link, since then our own clock is wrong, nor on a member while its clock and ours
// may disagree about the Window.
func (s *Subscriber) blame(from peer.ID, a Announcement, err error) bool {
	switch {
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrForged):
		return true
	case errors.Is(err, ErrLate):
		return from != s.config.Link && time.Since(a.Created).Abs() > 2*Window
	}
	return false // seen: the session was faster
}
