package gossip

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pubsubpb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/logs"
)

var log = logs.For("p2p/gossip")

// Config says whose announcements travel between whom.
type Config struct {
	// Link is the one that announces. Its key must be an Ed25519 key, which a peer id contains.
	Link       peer.ID
	Federation string
	// Member reports whether a peer takes part. At a link: its members. At a node: the link, and
	// the members it knows. It is called often, from any goroutine, and must be quick.
	Member func(peer.ID) bool
}

func (c Config) validate() error {
	if _, err := c.Link.ExtractPublicKey(); err != nil {
		return fmt.Errorf("link %q of gossip: its peer id must contain its key: %w", c.Link, err)
	}
	if len(c.Federation) > maxName {
		return fmt.Errorf("federation's name has %d bytes; at most %d are allowed", len(c.Federation), maxName)
	}
	if c.Member == nil {
		return errors.New("gossip needs to know who is a member")
	}
	return nil
}

// topic returns that of a federation. It is a hash, since gossipsub tells topics to whoever
// connects.
func (c Config) topic() string {
	sum := sha256.Sum256(append([]byte(c.Link+"\x00"), c.Federation...))
	return "/rhizome/run/1/" + hex.EncodeToString(sum[:16])
}

// start joins the federation's topic with gossipsub as this package wants it. Ending ctx ends
// gossipsub; its goroutines are also done when the host is closed.
func start(ctx context.Context, h host.Host, c Config, validator pubsub.ValidatorEx, extra ...pubsub.Option) (*pubsub.Topic, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	name := c.topic()
	params, thresholds := scoreParams(name, c.Member)
	options := append([]pubsub.Option{
		pubsub.WithFloodPublish(true),
		pubsub.WithGossipSubParams(gossipParams()),
		pubsub.WithPeerScore(params, thresholds),
		pubsub.WithPeerFilter(func(p peer.ID, _ string) bool { return c.Member(p) }),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(name), maxSubscriptions)),
		// The announcement carries the link's signature, which the session can pass on too;
		// gossipsub's own envelope would only name the forwarder.
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(func(m *pubsubpb.Message) string {
			sum := sha256.Sum256(m.GetData())
			return string(sum[:])
		}),
		pubsub.WithMaxMessageSize(maxRPC),
		pubsub.WithSeenMessagesTTL(2 * Window),
	}, extra...)
	ps, err := pubsub.NewGossipSub(ctx, h, options...)
	if err != nil {
		return nil, fmt.Errorf("start gossipsub: %w", err)
	}
	if err := ps.RegisterTopicValidator(name, validator); err != nil {
		return nil, fmt.Errorf("register validator of %s: %w", name, err)
	}
	topic, err := ps.Join(name)
	if err != nil {
		return nil, fmt.Errorf("join topic %s: %w", name, err)
	}
	return topic, nil
}
