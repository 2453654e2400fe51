package membership

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
)

// newFederation is a membership on disk and its tickets.
func newFederation(t *testing.T) (*Members, *Tickets) {
	t.Helper()
	store, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "state.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	self, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	members := New(Config{Store: store, Federation: "hospitals"})
	return members, NewTickets(members, Issuer{
		Link: self.ID, Key: self.Key, Federation: "hospitals", Swarm: true,
		Addresses: func(context.Context) ([]ma.Multiaddr, error) {
			return []ma.Multiaddr{ma.StringCast("/ip4/192.0.2.7/tcp/4001")}, nil
		},
	})
}

func TestTicketSaysWhatItsLinkIs(t *testing.T) {
	_, tickets := newFederation(t)
	made, err := tickets.Create(t.Context(), TicketRequest{Role: join.RoleObserver, LifeSeconds: 3600, MaxUses: 2})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ticket.Parse(made.Text)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Link != tickets.issuer.Link || parsed.Federation != "hospitals" || !parsed.Swarm || parsed.Role != join.RoleObserver ||
		len(parsed.Addrs) != 1 || parsed.TokenID != made.ID || !parsed.Expires.Equal(*made.ExpiresAt) {
		t.Errorf("the ticket says %+v", parsed)
	}
}

func TestEveryTicketEnds(t *testing.T) {
	_, tickets := newFederation(t)
	began := time.Now()
	made, err := tickets.Create(t.Context(), TicketRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if life := made.ExpiresAt.Sub(began).Round(time.Minute); life != DefaultTicketLife || made.Role != join.RoleNode {
		t.Errorf("a ticket made without options lives %s, for a %s", life, made.Role)
	}
	for _, bad := range []TicketRequest{
		{LifeSeconds: -1}, {LifeSeconds: int64(maxTicketLife/time.Second) + 1}, {MaxUses: -1}, {Role: "king"},
	} {
		if made, err := tickets.Create(t.Context(), bad); !errors.Is(err, ErrBadRequest) {
			t.Errorf("%+v gave %+v, %v", bad, made, err)
		}
	}
}

func TestTicketIsUsableUntilItIsSpent(t *testing.T) {
	members, tickets := newFederation(t)
	usable := func(id string) bool {
		t.Helper()
		list, err := tickets.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, ticket := range list {
			if ticket.Text != "" {
				t.Error("the list shows the text of a ticket")
			}
			if ticket.ID == id {
				return ticket.Usable
			}
		}
		t.Fatalf("ticket %s is not in the list", id)
		return false
	}
	create := func(uses int) (Ticket, join.Request) {
		t.Helper()
		made, err := tickets.Create(t.Context(), TicketRequest{MaxUses: uses})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ticket.Parse(made.Text)
		if err != nil {
			t.Fatal(err)
		}
		return made, join.Request{TokenID: parsed.TokenID, Secret: parsed.Secret, Name: "clinic"}
	}

	once, show := create(1)
	if !usable(once.ID) {
		t.Error("a new ticket is not usable")
	}
	clinic := newPeer(t)
	answer, err := members.Join(t.Context(), clinic, show)
	if err != nil || answer.Federation != "hospitals" || answer.Name != "clinic" || !members.Is(clinic, join.RoleNode) {
		t.Errorf("joined as %+v, %v", answer, err)
	}
	if usable(once.ID) {
		t.Error("a used ticket is usable")
	}
	var refusal *join.Refusal
	if _, err := members.Join(t.Context(), newPeer(t), show); !errors.As(err, &refusal) {
		t.Errorf("a second peer with a ticket for one: %v", err)
	}
	if _, err := members.Join(t.Context(), clinic, join.Request{}); err != nil {
		t.Errorf("a member that has lost its memory: %v", err)
	}

	many, show := create(0)
	if err := tickets.Revoke(t.Context(), many.ID); err != nil {
		t.Fatal(err)
	}
	if usable(many.ID) {
		t.Error("a revoked ticket is usable")
	}
	if _, err := members.Join(t.Context(), newPeer(t), show); !errors.As(err, &refusal) {
		t.Errorf("a peer with a revoked ticket was not refused: %v", err)
	}

	if err := members.Remove(t.Context(), clinic.String()); err != nil {
		t.Fatal(err)
	}
	_, show = create(0)
	if _, err := members.Join(t.Context(), clinic, show); !errors.As(err, &refusal) || members.Is(clinic) {
		t.Errorf("a removed member came back: %v", err)
	}
}

// The lobby is told of a ticket what a join with it would find.
func TestLetsInByATicketThatIsUsable(t *testing.T) {
	members, tickets := newFederation(t)
	create := func(req TicketRequest) (string, join.Request) {
		t.Helper()
		made, err := tickets.Create(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ticket.Parse(made.Text)
		if err != nil {
			t.Fatal(err)
		}
		return made.ID, join.Request{TokenID: parsed.TokenID, Secret: parsed.Secret}
	}
	id, good := create(TicketRequest{})
	_, other := create(TicketRequest{})
	_, once := create(TicketRequest{MaxUses: 1})
	_, short := create(TicketRequest{LifeSeconds: 1})
	if !members.LetsIn(good) || !members.LetsIn(once) {
		t.Error("a usable ticket is not known")
	}
	for name, bad := range map[string]join.Request{
		"nothing":          {},
		"no secret":        {TokenID: good.TokenID},
		"another's secret": {TokenID: good.TokenID, Secret: other.Secret},
		"an unknown id":    {TokenID: "0123456789ab", Secret: good.Secret},
	} {
		if members.LetsIn(bad) {
			t.Errorf("%s lets in", name)
		}
	}
	if _, err := members.Join(t.Context(), newPeer(t), once); err != nil || !members.LetsIn(good) {
		t.Errorf("another ticket is forgotten over a join (%v)", err)
	}
	if err := members.Load(t.Context()); err != nil { // as Follow does after a join
		t.Fatal(err)
	}
	if members.LetsIn(once) {
		t.Error("a ticket that is used up lets in")
	}
	if err := tickets.Revoke(t.Context(), id); err != nil || members.LetsIn(good) {
		t.Errorf("a revoked ticket lets in (%v)", err)
	}
	for deadline := time.Now().Add(time.Minute); members.LetsIn(short); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("an expired ticket lets in")
		}
	}
}

// The relays must be open to a new member when it hears that it is in.
func TestJoinIsAnsweredWhenTheOthersKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		friend := newPeer(t)
		store := &someMembers{list: []state.Member{{PeerID: friend.String(), Role: join.RoleNode}}}
		m := New(Config{Store: store, Settle: func(context.Context) error { time.Sleep(time.Second); return nil }})
		began := time.Now()
		if _, err := m.Join(t.Context(), friend, join.Request{}); err != nil || time.Since(began) != time.Second {
			t.Errorf("the answer came after %s, %v", time.Since(began), err)
		}
		m.cfg.Settle = func(context.Context) error { return errors.New("no relay answers") }
		if answer, err := m.Join(t.Context(), friend, join.Request{}); err == nil {
			t.Errorf("the peer was told %+v", answer)
		}
	})
}
