package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/doctor"
)

// showReport prints what the doctor found, for people: tables first, the verdict last.
func showReport(w io.Writer, r doctor.Report) error {
	who := "the link " + r.Link.String()
	if r.OwnLink {
		who = "this link, " + r.Link.String()
	}
	fmt.Fprintf(w, "examined in %s: %s %s\n", seconds(time.Duration(r.Took*float64(time.Second))), who, printable.Line(r.Federation, 0))
	if r.Proxy != "" {
		fmt.Fprintf(w, "proxy for WebSocket: %s\n", printable.Line(r.Proxy, 0))
	}
	err := printTable(w, []string{"OF", "ADDRESS", "NAME", "TCP", "PROXY", "HANDSHAKE", "STANDING", "RTT"}, len(r.Addresses), func(i int) []string {
		a := r.Addresses[i]
		return []string{
			ofWhom(a), shortAddress(a.Address), stepText(a.Resolve), stepText(a.Connect), stepText(a.Proxy), stepText(a.Handshake), dash(a.Standing), rttText(a.RTT),
		}
	})
	if err != nil {
		return err
	}
	if len(r.Relays) > 0 {
		err := printTable(w, []string{"RELAY", "ROLE", "RESERVATION", "CIRCUIT TO THE LINK", "STANDING", "RTT", "LIMITS"}, len(r.Relays), func(i int) []string {
			x := r.Relays[i]
			return []string{x.Peer.String(), dash(x.Role), stepText(x.Reservation), stepText(x.Circuit), dash(x.Standing), rttText(x.RTT), relayLimits(x)}
		})
		if err != nil {
			return err
		}
	}
	showNAT(w, r.NAT)
	if err := showPaths(w, "PATH", r.Paths); err != nil {
		return err
	}
	if err := showPaths(w, "PATH OF THE RUNNING DAEMON", r.Daemon); err != nil {
		return err
	}
	if r.Clock.Known {
		fmt.Fprintf(w, "clock: %+.3f s against the other side, give or take %.3f s\n", r.Clock.Ahead, r.Clock.Within)
	}
	if r.MTU.Bytes > 0 {
		fmt.Fprintf(w, "MTU: %d bytes, %s\n", r.MTU.Bytes, r.MTU.How)
	}
	for _, unknown := range r.Unknown {
		fmt.Fprintf(w, "not determined: %s\n", printable.Line(unknown, 0))
	}
	_, err = fmt.Fprintf(w, "\nFor you: %s\n\nFor the firewall team: %s\n", printable.Line(r.Verdict.User, 0), printable.Line(r.Verdict.Firewall, 0))
	return err
}

func ofWhom(a doctor.Address) string {
	if a.Relay {
		return "relay"
	}
	return "link"
}

// shortAddress cuts an address to what a table has room for.
func shortAddress(a string) string {
	const room = 60
	if len(a) <= room {
		return a
	}
	return a[:room] + "..."
}

func stepText(s doctor.Step) string {
	switch s.State {
	case doctor.OK:
		return "ok"
	case doctor.Failed:
		return "failed: " + string(s.Failure)
	}
	return "-"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func rttText(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", ms)
}

func relayLimits(x doctor.Relay) string {
	var parts []string
	if x.Limits != "" {
		parts = append(parts, x.Limits)
	}
	if x.LimitedBytes > 0 {
		parts = append(parts, "cuts a circuit after "+size(int64(x.LimitedBytes)))
	}
	if x.LimitedTime != "" {
		parts = append(parts, "cuts a circuit after "+x.LimitedTime)
	}
	if x.LastRefusal != "" {
		parts = append(parts, "last refusal: "+x.LastRefusal)
	}
	return dash(strings.Join(parts, ", "))
}

func showNAT(w io.Writer, n doctor.NAT) {
	known := func(s string) string {
		if s == "" {
			return "not determined"
		}
		return s
	}
	fmt.Fprintf(w, "NAT: %s; seen from outside as %s\n", known(string(n.Translated)), known(strings.Join(n.Public, ", ")))
	fmt.Fprintf(w, "  mapping UDP %s, TCP %s\n", known(string(n.UDP)), known(string(n.TCP)))
	own := "another port than the site's own"
	if n.OwnPort {
		own = "the site's own port"
	}
	fmt.Fprintf(w, "  filtering at port %d (%s): UDP %s, TCP %s\n", n.Port, own, known(string(n.UDPFilter)), known(string(n.TCPFilter)))
	fmt.Fprintf(w, "  hairpin %s; UPnP %s; NAT-PMP %s; second NAT behind the router %s\n",
		known(string(n.Hairpin)), known(string(n.UPnP)), known(string(n.PMP)), known(string(n.DoubleNAT)))
}

func showPaths(w io.Writer, head string, paths []doctor.Path) error {
	if len(paths) == 0 {
		return nil
	}
	return printTable(w, []string{head, "BY", "RTT", "DOWN", "UP", ""}, len(paths), func(i int) []string {
		p := paths[i]
		return []string{p.Way, p.Transport, rttText(p.RTT), rateText(p.Down), rateText(p.Up), p.Why}
	})
}

func rateText(bytesPerSecond float64) string {
	if bytesPerSecond == 0 {
		return "-"
	}
	return size(int64(bytesPerSecond)) + "/s"
}
