package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/relay/relaypb"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

func TestOnlyAllowedLinksVouch(t *testing.T) {
	link, impostor := newHost(t), newHost(t)
	l := newLab(t, Options{Links: []peer.ID{link.ID()}})
	l.join(impostor)
	s, err := impostor.NewStream(l.ctx, l.host.ID(), VouchProtocol)
	if err != nil {
		t.Fatal(err)
	}
	err = NewMembers("mine", []peer.ID{impostor.ID()}).Vouch(l.ctx, s)
	if !errors.Is(err, ErrVouchRefused) || !strings.Contains(err.Error(), "operator") {
		t.Errorf("Vouch of a stranger = %v", err)
	}
	if err := l.reserve(impostor); err == nil {
		t.Error("a stranger vouched for itself")
	}
}

func TestOpenRelayNeedsNoVouching(t *testing.T) {
	link, a := newHost(t), newHost(t)
	l := newLab(t, Options{Open: true})
	l.join(link)
	s, err := link.NewStream(l.ctx, l.host.ID(), VouchProtocol)
	if err != nil {
		t.Fatal(err)
	}
	members := NewMembers("mine", []peer.ID{a.ID()})
	ended := make(chan error, 1)
	go func() { ended <- members.Vouch(l.ctx, s) }()
	members.Add(link.ID())
	if err := members.Sync(l.ctx); err != nil {
		t.Errorf("Sync waits for a relay that needs no members: %v", err)
	}
	select {
	case err := <-ended:
		t.Errorf("Vouch at an open relay = %v, want it to wait for the relay's end", err)
	default:
	}
	if role := l.relay.roster.role(a.ID()); role != Anybody {
		t.Errorf("at an open relay a peer is %v", role)
	}
	if err := l.relay.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || errors.Is(err, ErrVouchRefused) {
		t.Errorf("Vouch after the end of the relay = %v", err)
	}
}

func TestLargeSetTravelsInParts(t *testing.T) {
	link := newHost(t)
	l := newLab(t, Options{Links: []peer.ID{link.ID()}})
	l.join(link)
	many := make([]peer.ID, 2*updatePart+500)
	for i := range many {
		many[i] = peer.ID(fmt.Sprintf("\x00\x24\x08\x01\x12\x20%032d", i)) // as Ed25519 ids are
	}
	members := l.vouch(link)
	sync := func(want int) {
		t.Helper()
		if err := members.Sync(l.ctx); err != nil {
			t.Fatal(err)
		}
		if got := l.relay.Status().Federations[0].Members; got != want {
			t.Errorf("the relay knows %d members, want %d", got, want)
		}
	}
	members.Set(many)
	sync(len(many))
	members.Set(many[updatePart:])
	sync(len(many) - updatePart)
	members.Remove(many[len(many)-1])
	members.Add(many[0])
	sync(len(many) - updatePart)
	if l.relay.roster.role(many[0]) != Member || l.relay.roster.role(many[1]) != Stranger {
		t.Error("the relay has other members than the link")
	}
}

func TestNewestStreamOfALinkCounts(t *testing.T) {
	link, a, b := newHost(t), newHost(t), newHost(t)
	l := newLab(t, Options{Links: []peer.ID{link.ID()}})
	l.join(link)
	l.vouch(link, a)
	l.vouch(link, b)
	if l.relay.roster.role(a.ID()) != Stranger || l.relay.roster.role(b.ID()) != Member {
		t.Error("the newer stream did not replace the members of the older one")
	}
}

func TestSyncDoesNotWaitForLostRelays(t *testing.T) {
	link, a := newHost(t), newHost(t)
	l := newLab(t, Options{Links: []peer.ID{link.ID()}})
	l.join(link)
	members := l.vouch(link)
	if err := l.relay.Close(); err != nil {
		t.Fatal(err)
	}
	members.Add(a.ID())
	if err := members.Sync(l.ctx); err != nil {
		t.Errorf("Sync after the relay went: %v", err)
	}
}

func TestAskOfAForeignRelay(t *testing.T) {
	a, b := newHost(t), newHost(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := a.Connect(ctx, peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
	if _, err := Ask(ctx, a, b.ID()); !errors.Is(err, ErrNotRhizome) {
		t.Errorf("Ask = %v, want ErrNotRhizome", err)
	}
}

// script is the far end of a stream: it says what it was given and hears all.
type script struct {
	network.Stream
	in    *bytes.Reader
	heard bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.heard.Write(p) }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) Reset() error                     { return nil }
func (s *script) Close() error                     { return nil }
func (s *script) CloseRead() error                 { return nil }

func messages(t testing.TB, msgs ...*relaypb.ToRelay) []byte {
	var b bytes.Buffer
	for _, m := range msgs {
		if err := delimited.Write(&b, m); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func hello(version uint32) *relaypb.ToRelay {
	return &relaypb.ToRelay{Body: &relaypb.ToRelay_Hello{Hello: &relaypb.VouchHello{Version: version, Federation: "f"}}}
}

func updates(u *relaypb.VouchUpdate) *relaypb.ToRelay {
	return &relaypb.ToRelay{Body: &relaypb.ToRelay_Update{Update: u}}
}

// FuzzVouch: whatever an allowed link sends, the relay survives and stays in its bounds.
func FuzzVouch(f *testing.F) {
	id := []byte("\x00\x24\x08\x01\x12\x20" + strings.Repeat("k", 32))
	f.Add([]byte{})
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add(messages(f, hello(vouchVersion), updates(&relaypb.VouchUpdate{Seq: 1, Replace: true, Add: [][]byte{id}})))
	f.Add(messages(f, hello(vouchVersion), updates(&relaypb.VouchUpdate{Seq: 1, Add: [][]byte{id}, More: true}), updates(&relaypb.VouchUpdate{Remove: [][]byte{id}})))
	f.Add(messages(f, hello(vouchVersion), hello(vouchVersion)))
	f.Add(messages(f, hello(99)))
	f.Add(messages(f, hello(vouchVersion), updates(&relaypb.VouchUpdate{Add: [][]byte{{1, 2, 3}}})))
	link := newHost(f)
	l := newLab(f, Options{Links: []peer.ID{link.ID()}})
	f.Fuzz(func(t *testing.T, said []byte) {
		v := &vouchStream{Stream: &script{in: bytes.NewReader(said)}, begun: func() {}, link: link.ID()}
		if err := l.relay.vouch(v); err == nil {
			t.Error("a stream ends with a reason")
		}
		if n := len(v.pending.add) + len(v.pending.remove); n > 2*maxMembers {
			t.Errorf("%d ids are kept of an update", n)
		}
	})
}

// FuzzReadRequest: what is read off a hop stream is one message, exactly.
func FuzzReadRequest(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{2, 8, 0, 'r', 'e', 's', 't'})
	f.Add([]byte{2, 8, 1, 8, 1})
	f.Add([]byte("\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, said []byte) {
		in := bytes.NewReader(said)
		raw, msg, err := readRequest(in)
		if err != nil {
			return
		}
		if msg == nil || len(raw)+in.Len() != len(said) || !bytes.HasPrefix(said, raw) {
			t.Errorf("read %d bytes of %d, %d are left", len(raw), len(said), in.Len())
		}
	})
}

// A set that stays as it is costs no relay an acknowledgement.
func TestSameMembersAreNoChange(t *testing.T) {
	a, b := peer.ID("a"), peer.ID("b") // only compared
	m := NewMembers("test", []peer.ID{a})
	version := func() uint64 {
		v, _, _ := m.snapshot()
		return v
	}
	before := version()
	m.Set([]peer.ID{a})
	if got := version(); got != before {
		t.Errorf("the same set has version %d after %d", got, before)
	}
	m.Add(b)
	added := version()
	m.Set([]peer.ID{b, a})
	if got := version(); got != added || got == before {
		t.Errorf("versions %d, %d after a change, %d after its load", before, added, got)
	}
}
