package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

// measurePath finds out how fast a way to the link is.
func measurePath(ctx context.Context, open opener, p *Path, member bool) {
	if !member {
		p.Why = "throughput is measured for members only"
		return
	}
	err := ask(ctx, open, ThroughputProtocol, askTimeout, func(s network.MuxedStream) (err error) {
		p.Down, err = download(s)
		return err
	})
	if err == nil {
		err = ask(ctx, open, ThroughputProtocol, askTimeout+transferLimit, func(s network.MuxedStream) (err error) {
			p.Up, err = upload(s)
			return err
		})
	}
	switch {
	case ctx.Err() != nil:
		p.Why = "there was no time left"
	case err != nil:
		p.Why = printable.Line(err.Error(), maxDetail)
	}
}

// paths returns the ways to the link, one for each transport and relay, best first; each with the
// way on which to measure it.
func (s *site) paths(ways []*way) (paths []Path, on []*way) {
	add := func(p Path, w *way) {
		if slices.ContainsFunc(paths, func(known Path) bool { return known.Way == p.Way && known.Transport == p.Transport }) {
			return
		}
		paths, on = append(paths, p), append(on, w)
	}
	for _, transport := range []string{transportQUIC, transportTCP, transportWebSocket} {
		for _, w := range ways {
			if w.relay == "" && w.asked != nil && w.from == s.cfg.Link && w.address.Transport == transport {
				name := "direct"
				if w.address.ViaProxy {
					name = "direct, through the proxy"
				}
				add(Path{Way: name, Transport: transport, RTT: millis(w.rtt)}, w)
			}
		}
	}
	for _, w := range ways {
		if w.relay != "" && w.asked != nil {
			add(Path{Way: "relay " + w.relay.String(), Transport: "circuit", RTT: millis(w.rtt)}, w)
		}
	}
	return paths, on
}

// measureAll measures some paths one after the other, so that they do not share the line.
func (s *site) measureAll(ctx context.Context, ways []*way) []Path {
	paths, on := s.paths(ways)
	for i := range paths {
		if i >= maxPaths {
			paths[i].Why = fmt.Sprintf("only %d paths are measured", maxPaths)
			continue
		}
		measurePath(ctx, on[i].open(), &paths[i], on[i].speaks(ThroughputProtocol))
	}
	return paths
}

// Host is a running host of the overlay that reports its paths.
type Host interface {
	Network() network.Network
	// Measure brings the round trips that Paths reports up to date.
	Measure(ctx context.Context, peers ...peer.ID)
	Paths(peer.ID) []reach.Path
}

// Measure measures the paths that a running host has to its link. It takes a few seconds at most,
// and some megabytes of traffic.
func Measure(ctx context.Context, h Host, link peer.ID) []Path {
	ctx, cancel := context.WithTimeout(ctx, pathsTime)
	defer cancel()
	h.Measure(ctx, link)
	known := h.Paths(link)
	var paths []Path
	for _, c := range h.Network().ConnsToPeer(link) {
		if len(paths) == maxPaths || c.IsClosed() {
			break
		}
		i := slices.IndexFunc(known, func(k reach.Path) bool {
			return k.Remote.Equal(c.RemoteMultiaddr()) && k.Local.Equal(c.LocalMultiaddr())
		})
		if i < 0 {
			continue
		}
		p := Path{Way: "direct", Transport: known[i].Transport, RTT: millis(known[i].RTT)}
		if !known[i].Direct() {
			p.Way = "relay " + known[i].Relay.String()
		}
		measurePath(ctx, func(ctx context.Context) (network.MuxedStream, error) {
			return c.NewStream(network.WithAllowLimitedConn(ctx, "doctor"))
		}, &p, true)
		paths = append(paths, p)
	}
	return paths
}
