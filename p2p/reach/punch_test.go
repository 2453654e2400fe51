package reach

import (
	"strconv"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
)

// newManager makes a Manager on a plain libp2p host that listens at an address.
func newManager(t *testing.T, listen string, standing func(peer.ID) admission.Standing) *Manager {
	t.Helper()
	var work sync.WaitGroup
	m := New(t.Context(), Config{
		Intents: NewIntents(true, nil), Standing: standing, Background: func(f func()) { work.Go(f) },
		Aliases: func(addrs []ma.Multiaddr) []ma.Multiaddr { return addrs },
	})
	h, err := libp2p.New(libp2p.DisableMetrics(), libp2p.ListenAddrStrings(listen))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.Close()
		work.Wait()
		m.Close()
	})
	m.Attach(h)
	return m
}

// Strangers are not told where a host is, and no holes are punched to where they claim to be.
func TestStrangersAreNotPunched(t *testing.T) {
	standing := admission.Joining
	m := newManager(t, "/ip4/127.0.0.1/tcp/0", func(peer.ID) admission.Standing { return standing })
	offer := []ma.Multiaddr{ma.StringCast("/ip4/192.168.1.7/tcp/4001")}
	if m.puncher.FilterLocal("peer", offer) != nil || m.puncher.FilterRemote("peer", offer) != nil {
		t.Error("a stranger is told the address, or punched")
	}
	standing = admission.Member
	if m.puncher.FilterLocal("peer", offer) == nil || m.puncher.FilterRemote("peer", offer) == nil {
		t.Error("a member is not")
	}
}

func TestGuessOfTheUDPAddress(t *testing.T) {
	port, err := identity.PickPort()
	if err != nil {
		t.Fatal(err)
	}
	m := newManager(t, "/ip4/0.0.0.0/udp/"+strconv.Itoa(port)+"/quic-v1", func(peer.ID) admission.Standing { return admission.Member })
	for observed, want := range map[string]string{
		"/ip4/11.0.0.1/tcp/" + strconv.Itoa(port):    "/ip4/11.0.0.1/udp/" + strconv.Itoa(port) + "/quic-v1",
		"/ip4/11.0.0.1/tcp/1":                        "", // the NAT changed the port: no guess is possible
		"/ip4/192.168.0.1/tcp/" + strconv.Itoa(port): "", // known without guessing
	} {
		got := m.puncher.guessUDP(ma.StringCast(observed))
		if (got == nil) != (want == "") || got != nil && got.String() != want {
			t.Errorf("%s: %v", observed, got)
		}
	}
}
