package ticket

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/join"
)

func newLink(t testing.TB) (crypto.PrivKey, peer.ID) {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, id
}

func example(t testing.TB) (Ticket, crypto.PrivKey) {
	key, id := newLink(t)
	_, relay := newLink(t)
	return Ticket{
		Link: id,
		Addrs: []ma.Multiaddr{
			ma.StringCast("/ip4/11.0.0.1/udp/4001/quic-v1"),
			ma.StringCast("/dns4/relay.example/tcp/443/p2p/" + relay.String() + "/p2p-circuit"),
		},
		Federation: "hospitals",
		TokenID:    "t7",
		Secret:     []byte("0123456789abcdef"),
		Role:       join.RoleNode,
		Expires:    time.Now().Add(time.Hour).Truncate(time.Second),
		Swarm:      true,
	}, key
}

func sign(t testing.TB, want Ticket, key crypto.PrivKey) string {
	t.Helper()
	line, err := want.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

var compare = cmp.Options{
	cmp.Comparer(func(a, b ma.Multiaddr) bool { return a.Equal(b) }),
	cmpopts.EquateEmpty(),
}

func TestTicketReturnsAsItWasSigned(t *testing.T) {
	want, key := example(t)
	line := sign(t, want, key)
	for name, text := range map[string]string{
		"as it is":      line,
		"with newlines": " " + line[:40] + "\n" + line[40:90] + "\r\n  " + line[90:] + "\n",
	} {
		got, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, r := range line {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r) {
			t.Fatalf("the line has %q, which a shell or a chat may change", r)
		}
	}
}

func TestOneChangedByteAnywhereIsRefused(t *testing.T) {
	want, key := example(t)
	line := sign(t, want, key)
	for i := range line {
		for _, b := range []byte{'A', 'b', '_', '7', ' ', '\n', 0, 0xff, line[i] ^ 0x20, line[i] ^ 1} {
			if b == line[i] {
				continue
			}
			changed := []byte(line)
			changed[i] = b
			if _, err := Parse(string(changed)); !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d from %q to %q: %v", i, line[i], b, err)
			}
		}
		if _, err := Parse(line[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	if _, err := Parse(line + "A"); !errors.Is(err, ErrDamaged) {
		t.Error("an extra character went unnoticed")
	}
}

func TestTicketOfAnotherKeyIsRefused(t *testing.T) {
	want, key := example(t)
	mallory, id := newLink(t)
	if _, err := want.Sign(mallory); err == nil {
		t.Error("a stranger's key could sign")
	}
	// Mallory's own signature over Alice's ticket.
	forged := want
	forged.Link = id
	raw, err := encoding.DecodeString(strings.TrimPrefix(sign(t, forged, mallory), Prefix))
	if err != nil {
		t.Fatal(err)
	}
	honest, err := encoding.DecodeString(strings.TrimPrefix(sign(t, want, key), Prefix))
	if err != nil {
		t.Fatal(err)
	}
	mixed := append(bytes.Clone(raw[:signatureSize]), honest[signatureSize:]...)
	if _, err := Parse(Prefix + encoding.EncodeToString(mixed)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a foreign signature: %v", err)
	}
}

func TestExpiredTicketSaysSo(t *testing.T) {
	want, key := example(t)
	want.Expires = time.Now().Add(-time.Minute)
	got, err := Parse(sign(t, want, key))
	if !errors.Is(err, ErrExpired) || got.Federation != want.Federation {
		t.Errorf("got %v of %q", err, got.Federation)
	}
	want.Expires = time.Time{}
	if _, err := Parse(sign(t, want, key)); err != nil {
		t.Errorf("a ticket without expiry: %v", err)
	}
}

func TestTicketForAnotherLink(t *testing.T) {
	want, _ := example(t)
	_, other := newLink(t)
	if err := want.For(other); !errors.Is(err, ErrOtherLink) {
		t.Error(err)
	}
	if err := want.For(want.Link); err != nil {
		t.Error(err)
	}
}

func TestSignRefusesWhatParseWould(t *testing.T) {
	for name, spoil := range map[string]func(*Ticket){
		"no address":         func(x *Ticket) { x.Addrs = nil },
		"empty address":      func(x *Ticket) { x.Addrs = []ma.Multiaddr{{}} },
		"too many addresses": func(x *Ticket) { x.Addrs = make([]ma.Multiaddr, maxAddrs+1) },
		"unknown role":       func(x *Ticket) { x.Role = "king" },
		"long federation":    func(x *Ticket) { x.Federation = strings.Repeat("x", maxText+1) },
		"control characters": func(x *Ticket) { x.Federation = "a\x1b[2Jb" },
		"long secret":        func(x *Ticket) { x.Secret = make([]byte, maxSecret+1) },
	} {
		x, key := example(t)
		spoil(&x)
		if _, err := x.Sign(key); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestParseJoin(t *testing.T) {
	want, key := example(t)
	if got, err := ParseJoin(" " + sign(t, want, key) + "\n"); err != nil || got.TokenID != want.TokenID {
		t.Errorf("a ticket: %v", err)
	}
	id := want.Link.String()
	circuit := want.Addrs[1].String()
	got, err := ParseJoin("/ip4/10.0.0.1/tcp/4001/p2p/" + id + ", " + circuit + "/p2p/" + id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Link != want.Link || len(got.Addrs) != 2 || got.Addrs[1].String() != circuit || len(got.Secret) != 0 {
		t.Errorf("multiaddrs: %+v", got)
	}
	_, other := newLink(t)
	for text, target := range map[string]error{
		"/ip4/10.0.0.1/tcp/4001": ErrNoPeer,
		circuit:                  ErrNoPeer,
		"/p2p/" + id:             ErrNoAddress,
		"/ip4/10.0.0.1/tcp/4001/p2p/" + id + ",/ip4/10.0.0.1/tcp/4001/p2p/" + other.String(): nil,
		"/ip4/10.0.0.999/tcp/1/p2p/" + id:        nil,
		"/":                                      nil,
		"/ip4/10.0.0.1/tcp/4001/p2p/" + id + ",": nil,
		"hello":                                  ErrDamaged,
		"":                                       ErrDamaged,
	} {
		_, err := ParseJoin(text)
		if err == nil || target != nil && !errors.Is(err, target) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	// The same in each process of the fuzzer, or an honest seed would look forged.
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	want, _ := example(f)
	if want.Link, err = peer.IDFromPrivateKey(key); err != nil {
		f.Fatal(err)
	}
	want.Addrs, want.Expires = want.Addrs[:1], time.Time{}
	line := sign(f, want, key)
	f.Add(line)
	f.Add(line[:100])
	f.Add(Prefix)
	f.Add("/ip4/10.0.0.1/tcp/4001/p2p/" + want.Link.String())
	f.Add("rhz1" + strings.Repeat("A", 200))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseJoin(s)
		if err != nil || strings.HasPrefix(strings.TrimSpace(s), "/") {
			return
		}
		// Whatever is accepted was signed by the link: only the seed can be.
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("accepted a ticket that nobody signed:\n%s", diff)
		}
	})
}
