package gossip

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/rhizome-fl/rhizome/p2p/gossip/gossippb"
)

func hash(digit byte) string { return strings.Repeat(string(digit), 64) }

func newLink(t testing.TB) (peer.ID, crypto.PrivKey) {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return id, key
}

func signed(t testing.TB, a Announcement, key crypto.PrivKey) []byte {
	t.Helper()
	raw, err := a.sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestNoByteMayChange(t *testing.T) {
	link, key := newLink(t)
	raw := signed(t, Announcement{Kind: Started, RunID: 1, FabHash: hash('1'), Link: link, Federation: "f"}, key)
	if _, err := Open(raw, link, "f"); err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for _, flip := range []byte{1, 0x80} {
			changed := slices.Clone(raw)
			changed[i] ^= flip
			if _, err := Open(changed, link, "f"); !errors.Is(err, ErrForged) && !errors.Is(err, ErrMalformed) {
				t.Errorf("byte %d changed: %v", i, err)
			}
		}
	}
	for cut := range raw {
		if _, err := Open(raw[:cut], link, "f"); err == nil {
			t.Errorf("cut at %d: no error", cut)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	link, key := newLink(t)
	other, otherKey := newLink(t)
	good := Announcement{Kind: Started, RunID: 1, Link: link, Federation: "f"}
	ofOther := good
	ofOther.Link = other
	elsewhere := good
	elsewhere.Federation = "g"
	sign := func(body []byte) []byte { // what a broken or hostile link would sign
		signature, err := key.Sign(append([]byte(domain), body...))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := proto.Marshal(&gossippb.Signed{Announcement: body, Signature: signature})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	body := func(m *gossippb.Announcement) []byte {
		m.Link, m.Federation = []byte(link), "f"
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"by another key":         {signed(t, good, otherKey), ErrForged},
		"another link's":         {signed(t, ofOther, otherKey), ErrForged},
		"in another's name":      {signed(t, ofOther, key), ErrForged},
		"for another federation": {signed(t, elsewhere, key), ErrForged},
		"empty":                  {nil, ErrForged},
		"oversized":              {make([]byte, MaxSize+1), ErrMalformed},
		"another encoding":       {append(signed(t, good, key), 0x1a, 0), ErrMalformed},
		"not a protobuf":         {sign([]byte{0xff}), ErrMalformed},
		"no kind":                {sign(body(&gossippb.Announcement{})), ErrMalformed},
		"odd FAB hash":           {sign(body(&gossippb.Announcement{Kind: 1, FabHash: "../../etc"})), ErrMalformed},
		"odd object id":          {sign(body(&gossippb.Announcement{Kind: 4, ObjectIds: []string{strings.ToUpper(hash('a'))}})), ErrMalformed},
		"many object ids":        {sign(body(&gossippb.Announcement{Kind: 4, ObjectIds: slices.Repeat([]string{hash('a')}, MaxObjects+1)})), ErrMalformed},
	} {
		if _, err := Open(c.raw, link, "f"); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	most := good
	most.Objects = slices.Repeat([]string{hash('a')}, MaxObjects)
	if raw := signed(t, most, key); len(raw) > MaxSize {
		t.Errorf("an announcement of %d objects has %d bytes: more than MaxSize", MaxObjects, len(raw))
	}
}

func TestWindowAndBlame(t *testing.T) {
	link, key := newLink(t)
	member, _ := newLink(t)
	for _, c := range []struct {
		age       time.Duration
		want      error
		blamed    bool // a member that forwards it is blamed
		blameLink bool
	}{
		{0, nil, false, false},
		{Window - time.Second, nil, false, false},
		{-Window + time.Second, nil, false, false},
		{Window + time.Second, ErrLate, false, false},
		{3 * Window, ErrLate, true, false},
		{-3 * Window, ErrLate, true, false},
	} {
		s := &Subscriber{config: Config{Link: link, Federation: "f"}, replays: newReplays()}
		raw := signed(t, Announcement{Kind: Started, Link: link, Federation: "f"}, key)
		a, err := s.accept(raw, time.Now().Add(c.age))
		if !errors.Is(err, c.want) {
			t.Errorf("age %v: %v, want %v", c.age, err, c.want)
		}
		if c.want == nil {
			if _, err := s.accept(raw, time.Now().Add(c.age)); !errors.Is(err, ErrSeen) {
				t.Errorf("again at age %v: %v", c.age, err)
			}
			continue
		}
		a.Created = time.Now().Add(-c.age)
		if s.blame(member, a, err) != c.blamed || s.blame(link, a, err) != c.blameLink {
			t.Errorf("age %v: blamed the wrong peer", c.age)
		}
	}
}

// TestNothingIsAcceptedTwice replays at random times, with a memory that overflows.
func TestNothingIsAcceptedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newReplays()
		now := time.UnixMilli(1_700_000_000_000)
		var made []Announcement
		accepted := map[int]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, int(Window/time.Millisecond)).Draw(t, "ms")) * time.Millisecond)
			},
			"burst": func(t *rapid.T) { // more than is remembered
				for range maxRemembered/2 + 1 {
					a := Announcement{Created: now, Nonce: uint64(len(made))}
					made = append(made, a)
					if within(a, now) && !r.forgotten(a) && r.first(a, now) == nil {
						accepted[len(made)-1] = true
					}
				}
			},
			"replay": func(t *rapid.T) {
				if len(made) == 0 {
					t.Skip("nothing made yet")
				}
				i := rapid.IntRange(0, len(made)-1).Draw(t, "which")
				if a := made[i]; within(a, now) && !r.forgotten(a) && r.first(a, now) == nil && accepted[i] {
					t.Fatalf("announcement %d was accepted twice", i)
				}
			},
			"": func(t *rapid.T) {
				if len(r.seen) > maxRemembered || len(r.seen) != len(r.order) {
					t.Fatalf("%d remembered, %d in order", len(r.seen), len(r.order))
				}
			},
		})
	})
}

func within(a Announcement, now time.Time) bool { return now.Sub(a.Created).Abs() <= Window }

// FuzzOpen: a stranger's bytes are an announcement of ours, or an error.
func FuzzOpen(f *testing.F) {
	link, key := newLink(f)
	f.Add([]byte{})
	f.Add([]byte("\x0a\x02\x18\x01\x12\x01x"))
	f.Add(signed(f, Announcement{Kind: Started, RunID: 1, Link: link, Federation: "f"}, key))
	f.Add(signed(f, Announcement{Kind: Wanted, Objects: []string{hash('a')}, Link: link, Federation: "f"}, key))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := Open(raw, link, "f")
		if err == nil && (a.Link != link || a.Federation != "f" || a.Kind <= 0 || len(raw) > MaxSize) {
			t.Errorf("accepted %+v", a)
		}
	})
}
