package gossip

import (
	"errors"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
)

const (
	// Window is how old an announcement may be, and how far ahead of our clock, when it comes by
	// gossip: longer than any network holds it, and wide enough for clocks that nobody has set
	// right.
	Window = 2 * time.Minute

	// MaxSize bounds an announcement with its signature: MaxObjects ids and the rest with room to
	// spare.
	MaxSize = 16 << 10
	// MaxObjects bounds the objects that an announcement names; a larger model is announced by its
	// root.
	MaxObjects = 128
	// maxName bounds the federation's name as tickets do.
	maxName = 255

	// maxRemembered announcements are kept within twice the Window: 30 a second, which no link
	// comes near. Beyond that, older ones count as late.
	maxRemembered = 8 << 10
	// maxWaiting announcements are kept for a subscriber that does not keep up; the rest are lost,
	// as hints may be.
	maxWaiting = 64

	// heartbeat is gossipsub's. It mends the mesh between members, which no announcement waits
	// for, so it need not wake the process every second as it does by default.
	heartbeat = 10 * time.Second
	// maxRPC holds a few announcements and gossipsub's own control messages.
	maxRPC = 4 * MaxSize
	// maxSubscriptions bounds those in one message of a peer; we have one topic.
	maxSubscriptions = 8
)

// These are scores. Members start at 0. Announcements that no honest member would forward cost the
// square of their number, so that the second one silences its sender and the first, which may be a
// bug, does not.
const (
	invalidWeight = -10.0
	graylist      = -30.0
	// A forger's count of 2 is forgiven after about an hour, and 3 a little later.
	invalidDecay  = 0.999 // each scoreInterval; halves in under two hours
	scoreInterval = 10 * time.Second
	decayToZero   = 0.1
	// retainScore outlives a forger's reconnect.
	retainScore = time.Hour
	// strangerScore is below any threshold.
	strangerScore = -1e9
)

func gossipParams() pubsub.GossipSubParams {
	params := pubsub.DefaultGossipSubParams()
	params.HeartbeatInterval = heartbeat
	return params
}

func scoreParams(topic string, member func(p peerID) bool) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	params := &pubsub.PeerScoreParams{
		SkipAtomicValidation: true,
		Topics: map[string]*pubsub.TopicScoreParams{topic: {
			SkipAtomicValidation:           true,
			TopicWeight:                    1,
			InvalidMessageDeliveriesWeight: invalidWeight,
			InvalidMessageDeliveriesDecay:  invalidDecay,
		}},
		AppSpecificScore: func(p peerID) float64 {
			if member(p) {
				return 0
			}
			return strangerScore
		},
		AppSpecificWeight: 1,
		DecayInterval:     scoreInterval,
		DecayToZero:       decayToZero,
		RetainScore:       retainScore,
		// There is no penalty for many members behind one address: a hospital is just that.
	}
	thresholds := &pubsub.PeerScoreThresholds{
		GossipThreshold:   graylist / 3,
		PublishThreshold:  graylist / 2,
		GraylistThreshold: graylist,
	}
	return params, thresholds
}

// These are the errors of an announcement that is not handed out. ErrForged and ErrMalformed mean
// that somebody is at fault.
var (
	// ErrSeen: it was handed out before.
	ErrSeen = errors.New("announcement was seen before")
	// ErrForged: it was not signed by the link that we follow, or is for another federation.
	ErrForged = errors.New("announcement is not the link's")
	// ErrMalformed: it is too large, not an announcement, or has fields out of bounds.
	ErrMalformed = errors.New("announcement is malformed")
	// ErrLate: it is outside the Window, so it may be a recording.
	ErrLate = errors.New("announcement is outside the time window")
)
