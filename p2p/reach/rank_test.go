package reach

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func TestTCPHasAHeadStartUnlessAtARelay(t *testing.T) {
	const tcp, quic, relayTCP, relayQUIC = "/ip4/11.0.0.1/tcp/1", "/ip4/11.0.0.1/udp/1/quic-v1", "/ip4/11.0.0.2/tcp/1", "/ip4/11.0.0.2/udp/1/quic-v1"
	circuit := relayTCP + "/p2p/12D3KooWGRUVz5pF5yLdJHBz6n1J4DzWbXZ4mXmJmQ3hUTmCzXGN/p2p-circuit"
	r := newRanker()
	relay := peer.AddrInfo{Addrs: []ma.Multiaddr{ma.StringCast(relayTCP), ma.StringCast(relayQUIC)}}
	check := func(when string, want map[string]time.Duration) {
		t.Helper()
		var addrs []ma.Multiaddr
		for a := range want {
			addrs = append(addrs, ma.StringCast(a))
		}
		ranked := r.rank(addrs)
		if len(ranked) != len(want) {
			t.Fatalf("%s: %d of %d addresses are dialled", when, len(ranked), len(want))
		}
		for _, a := range ranked {
			if a.Delay != want[a.Addr.String()] {
				t.Errorf("%s: %s is dialled after %v", when, a.Addr, a.Delay)
			}
		}
	}
	r.expect(relay, 1)
	r.expect(relay, 1)
	check("both", map[string]time.Duration{tcp: 0, quic: tcpHeadStart})
	check("QUIC only", map[string]time.Duration{quic: 0})
	check("QUIC and a circuit", map[string]time.Duration{quic: 0, circuit: 0})
	check("a relay", map[string]time.Duration{relayTCP: 0, relayQUIC: 0, tcp: 0})
	r.expect(relay, -1)
	check("a relay that is still known", map[string]time.Duration{relayTCP: 0, relayQUIC: 0})
	r.expect(relay, -1)
	check("no longer a relay", map[string]time.Duration{relayTCP: 0, relayQUIC: tcpHeadStart})
	if len(r.relays) > 0 {
		t.Errorf("%d addresses are still kept", len(r.relays))
	}
}
