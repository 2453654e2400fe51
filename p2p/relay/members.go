package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/relay/relaypb"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// ErrVouchRefused: the relay does not take this link's word. Trying again helps only when
// the relay's operator has changed something.
var ErrVouchRefused = errors.New("the relay refuses to take the link's word for its members")

// Members is the member set that a link vouches for, and its side of the vouch protocol.
// One set serves any number of relays: each stream sends what its relay lacks. All methods
// may be called from any goroutine.
type Members struct {
	federation string

	mu      sync.Mutex
	set     map[peer.ID]struct{}
	version uint64               // grows with each change of set
	acked   map[*vouching]uint64 // by the relays that are connected now
	changed chan struct{}        // closed at the next change of anything above
}

// vouching is one stream to one relay.
type vouching struct {
	stream network.Stream
	sent   map[peer.ID]struct{} // what the relay has; nil before the first update
	acks   chan uint64          // sequence numbers that the relay acknowledged

	notNeeded chan struct{} // closed when the relay serves anybody and asks for no members
}

// NewMembers starts with the given set. The federation's name is for the relay's operator.
func NewMembers(federation string, members []peer.ID) *Members {
	m := &Members{
		federation: federation,
		set:        make(map[peer.ID]struct{}, len(members)),
		version:    1,
		acked:      make(map[*vouching]uint64),
		changed:    make(chan struct{}),
	}
	for _, p := range members {
		m.set[p] = struct{}{}
	}
	return m
}

// Set replaces the members.
func (m *Members) Set(members []peer.ID) {
	set := make(map[peer.ID]struct{}, len(members))
	for _, p := range members {
		set[p] = struct{}{}
	}
	m.mu.Lock()
	same := maps.Equal(set, m.set)
	m.mu.Unlock()
	if !same { // else every relay would have to acknowledge nothing
		m.edit(func() { m.set = set })
	}
}

// Add vouches for one more. Call [Members.Sync] before the new member is told of its
// membership, or the relay may refuse its first reservation.
func (m *Members) Add(p peer.ID) { m.edit(func() { m.set[p] = struct{}{} }) }

// Remove takes the word for a member back: each connected relay cuts its circuits.
func (m *Members) Remove(p peer.ID) { m.edit(func() { delete(m.set, p) }) }

// Sync waits until every relay that is connected has put all changes so far into force.
// A relay that is lost meanwhile is not waited for: it gets the whole set when it is back.
func (m *Members) Sync(ctx context.Context) error {
	m.mu.Lock()
	target := m.version
	m.mu.Unlock()
	for {
		m.mu.Lock()
		done := !slices.ContainsFunc(slices.Collect(maps.Values(m.acked)), func(v uint64) bool { return v < target })
		changed := m.changed
		m.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for relays to take over the member set: %w", context.Cause(ctx))
		}
	}
}

// Vouch speaks [VouchProtocol] on a stream to a relay until ctx ends or the stream is
// lost, and always returns an error; the caller connects again. [ErrVouchRefused] with
// the relay's reason when it does not want this link. It owns the stream.
func (m *Members) Vouch(ctx context.Context, s network.Stream) error {
	v := &vouching{stream: s, acks: make(chan uint64, 1), notNeeded: make(chan struct{})}
	m.connect(v)
	defer m.disconnect(v)
	ctx, lose := context.WithCancelCause(ctx)
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	var listener sync.WaitGroup
	listener.Go(func() { lose(v.listen()) })
	lose(m.serve(ctx, v))
	_ = s.Reset()
	listener.Wait()
	return fmt.Errorf("vouch for members at relay %s: %w", s.Conn().RemotePeer(), context.Cause(ctx))
}

// serve sends what the relay lacks, one update at a time: changes that come while one is
// under way travel together in the next.
func (m *Members) serve(ctx context.Context, v *vouching) error {
	hello := &relaypb.VouchHello{Version: vouchVersion, Federation: m.federation}
	if err := v.send(ctx, &relaypb.ToRelay{Body: &relaypb.ToRelay_Hello{Hello: hello}}); err != nil {
		return err
	}
	for {
		version, set, changed := m.snapshot()
		select {
		case <-v.notNeeded:
			m.disconnect(v) // nobody has to wait for it
			<-ctx.Done()
			return context.Cause(ctx)
		default:
		}
		if acked := m.ackedBy(v); acked == version {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		for _, part := range update(version, v.sent, set) {
			if err := v.send(ctx, &relaypb.ToRelay{Body: &relaypb.ToRelay_Update{Update: part}}); err != nil {
				return err
			}
		}
		if err := v.awaitAck(ctx, version); errors.Is(err, errNotNeeded) {
			continue
		} else if err != nil {
			return err
		}
		v.sent = set
		m.change(func() { m.acked[v] = version })
	}
}

// listen reads what the relay says until the stream ends.
func (v *vouching) listen() error {
	in := bufio.NewReader(v.stream)
	for {
		var msg relaypb.FromRelay
		if err := delimited.Read(in, maxVouchMessage, &msg); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if refused := msg.GetRefused(); refused != nil {
			return fmt.Errorf("%w: %s", ErrVouchRefused, printable.Line(refused.GetDetail(), maxDetail))
		}
		if msg.GetNotNeeded() != nil {
			log.Info("the relay serves anybody and needs no list of members", "relay", v.stream.Conn().RemotePeer())
			close(v.notNeeded)
			return v.awaitEnd()
		}
		select {
		case v.acks <- msg.GetAck().GetSeq():
		default:
			return errors.New("the relay acknowledges what was not sent")
		}
	}
}

// errNotNeeded ends the wait for an acknowledgement that will not come.
var errNotNeeded = errors.New("the relay needs no list of members")

// awaitEnd reads until the stream of a relay that needs no list ends.
func (v *vouching) awaitEnd() error {
	var one [1]byte
	if _, err := v.stream.Read(one[:]); err != nil {
		return fmt.Errorf("wait for the end of the relay's answer: %w", err)
	}
	return errors.New("the relay goes on to answer what it does not need")
}

// send writes a message. When the stream breaks it is the listener's error that tells
// why, since a relay says so before it closes: wait for it.
func (v *vouching) send(ctx context.Context, msg *relaypb.ToRelay) error {
	_ = v.stream.SetWriteDeadline(time.Now().Add(handshakeTimeout))
	err := delimited.Write(v.stream, msg)
	if err == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(handshakeTimeout):
		return fmt.Errorf("send update: %w", err)
	}
}

func (v *vouching) awaitAck(ctx context.Context, version uint64) error {
	timeout := time.NewTimer(handshakeTimeout)
	defer timeout.Stop()
	select {
	case seq := <-v.acks:
		if seq != version {
			return fmt.Errorf("the relay acknowledges update %d instead of %d", seq, version)
		}
		return nil
	case <-v.notNeeded:
		return errNotNeeded
	case <-timeout.C:
		return fmt.Errorf("no acknowledgement within %v", handshakeTimeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// update is the way from what the relay has to set, in parts. Without a start it is a
// replacement; it always has a part, since the empty set must be said too.
func update(version uint64, from, to map[peer.ID]struct{}) []*relaypb.VouchUpdate {
	var removed, added [][]byte
	for p := range from {
		if _, stays := to[p]; !stays {
			removed = append(removed, []byte(p))
		}
	}
	for p := range to {
		if _, had := from[p]; !had {
			added = append(added, []byte(p))
		}
	}
	var parts []*relaypb.VouchUpdate
	for {
		part := &relaypb.VouchUpdate{Seq: version, Replace: from == nil}
		part.Remove, removed = split(removed, updatePart)
		part.Add, added = split(added, updatePart-len(part.Remove))
		part.More = len(removed)+len(added) > 0
		if parts = append(parts, part); !part.More {
			return parts
		}
	}
}

func split(ids [][]byte, n int) (head, rest [][]byte) {
	n = min(n, len(ids))
	return ids[:n], ids[n:]
}

func (m *Members) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Members) edit(f func()) {
	m.change(func() {
		f()
		m.version++
	})
}

func (m *Members) connect(v *vouching)    { m.change(func() { m.acked[v] = 0 }) }
func (m *Members) disconnect(v *vouching) { m.change(func() { delete(m.acked, v) }) }

func (m *Members) snapshot() (version uint64, set map[peer.ID]struct{}, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version, maps.Clone(m.set), m.changed
}

func (m *Members) ackedBy(v *vouching) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.acked[v]
}
