package gossip

import (
	"context"
	"errors"
	"fmt"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Publisher is the link's side. Its methods may be called from any goroutine.
type Publisher struct {
	config Config
	key    crypto.PrivKey
	topic  *pubsub.Topic
	stop   context.CancelFunc
}

// NewPublisher starts gossip on the link's host. Close it before the host.
func NewPublisher(h host.Host, c Config) (*Publisher, error) {
	if h.ID() != c.Link {
		return nil, fmt.Errorf("%s cannot announce for link %s", h.ID(), c.Link)
	}
	key := h.Peerstore().PrivKey(h.ID())
	if key == nil {
		return nil, errors.New("the host has no private key to sign announcements with")
	}
	ctx, stop := context.WithCancel(context.Background())
	// It does not subscribe, so that no node sends it anything; what comes all the same is dropped
	// before it would be validated.
	topic, err := start(ctx, h, c, func(_ context.Context, from peer.ID, _ *pubsub.Message) pubsub.ValidationResult {
		if from == h.ID() {
			return pubsub.ValidationAccept
		}
		return pubsub.ValidationReject
	})
	if err != nil {
		stop()
		return nil, err
	}
	return &Publisher{config: c, key: key, topic: topic, stop: stop}, nil
}

// Publish stamps, signs and sends an announcement to every member that is connected, and
// returns the bytes, for the session to repeat to those that gossip does not reach
// ([Subscriber.Verify]). It does not wait for anybody.
func (p *Publisher) Publish(ctx context.Context, a Announcement) ([]byte, error) {
	a.Link, a.Federation = p.config.Link, p.config.Federation
	raw, err := a.sign(p.key)
	if err != nil {
		return nil, fmt.Errorf("announce run %d %s: %w", a.RunID, a.Kind, err)
	}
	if err := p.topic.Publish(ctx, raw); err != nil {
		return nil, fmt.Errorf("announce run %d %s: %w", a.RunID, a.Kind, err)
	}
	return raw, nil
}

// Close ends gossip on the host.
func (p *Publisher) Close() {
	_ = p.topic.Close() // fails only for subscribers, of which there are none
	p.stop()
}
