package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/printable"
	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/node"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/relayd"
)

func newStatus() *cobra.Command {
	var data, join string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the state of a running link, node or relay",
		Long: `Shows the runs and whom they are waiting for, the peers, and the path to each of them:
direct or through which relay, by which transport, with round-trip time and bytes.

With an observer or operator ticket it asks a distant link through the overlay. The ticket
is needed only once: after that the data directory knows the link. Observers see no
members and no addresses.`,
		Example: `  rhizome status --data ./hub
  rhizome status --data ./n1 --json
  rhizome status --data ./me --join @observer.ticket    # later: rhizome status --data ./me`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			raw, err := askStatus(cmd, data, join)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, raw)
			}
			return showStatus(cmd.OutOrStdout(), raw)
		},
	}
	dataFlag(cmd, &data, "link")
	cmd.Flags().StringVar(&join, "join", "", "observer or operator `ticket` of a distant link, multiaddr, or @FILE")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// askStatus asks the daemon of the data directory, or the distant link that the directory knows.
func askStatus(cmd *cobra.Command, data, join string) (raw json.RawMessage, err error) {
	if join == "" {
		err = callDaemon(cmd, data, http.MethodGet, "/status", nil, &raw)
		if !errors.Is(err, admin.ErrNotRunning) || !remote.Knows(data) {
			return raw, err
		}
	} else if !cmd.Flags().Changed("data") {
		data = defaultData("proxy")
	}
	text, err := readJoin(join)
	if err != nil {
		return nil, err
	}
	return remote.Observe(cmd.Context(), remote.Config{DataDir: data, Join: text, Software: software()})
}

// showStatus tells the kinds of daemons apart by fields that only one of them has.
func showStatus(w io.Writer, raw json.RawMessage) error {
	var kind struct {
		HTTPAddress    *string          `json:"http_address"`
		RuntimeAddress *string          `json:"runtime_address"`
		Relay          *json.RawMessage `json:"relay"`
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	switch {
	case kind.HTTPAddress != nil:
		return decodeAnd(raw, func(s linkadmin.Status) error { return showLink(w, s) })
	case kind.RuntimeAddress != nil:
		return decodeAnd(raw, func(s node.Status) error { return showNode(w, s) })
	case kind.Relay != nil:
		return decodeAnd(raw, func(s relayd.Status) error { return showRelay(w, s) })
	default:
		return fmt.Errorf("this version of rhizome does not know this kind of daemon; try --json")
	}
}

func decodeAnd[S any](raw json.RawMessage, show func(S) error) error {
	var status S
	if err := json.Unmarshal(raw, &status); err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	return show(status)
}

func showLink(w io.Writer, s linkadmin.Status) error {
	fmt.Fprintf(w, "link %s of %s, flwr address %s, SuperExec %s\n", s.PeerID, s.Federation, s.HTTPAddress, s.SuperExec)
	for _, run := range s.Runs {
		fmt.Fprintf(w, "run %d %s: %s since %s", run.ID, printable.Line(run.App, 0), run.Status, run.Since.Local().Format(time.DateTime))
		if run.Details != "" {
			fmt.Fprintf(w, ", %s", printable.Line(run.Details, 0))
		}
		if run.Waiting != "" {
			fmt.Fprintf(w, ", waits for %s", printable.Line(run.Waiting, 0))
		}
		fmt.Fprintln(w)
		for _, owed := range run.WaitingFor {
			fmt.Fprintf(w, "  %d from %s: %s\n", owed.Messages, printable.Line(nameOr(owed.Name, owed.NodeID), 0), printable.Line(owed.State, 0))
		}
	}
	return printTable(w, []string{"NODE", "STATUS", "PATH"}, len(s.Nodes), func(i int) []string {
		n := s.Nodes[i]
		return []string{nameOr(n.Name, n.ID), string(n.Status), describePath(n.Path, n.LastFailure)}
	})
}

func showNode(w io.Writer, s node.Status) error {
	fmt.Fprintf(w, "node %s: %s\n", strings.TrimSpace(fmt.Sprint(s.NodeID)+" "+printable.Line(s.Name, 0)), printable.Line(s.State, 0))
	fmt.Fprintf(w, "link %s of %s: %s\n", s.Link.PeerID, printable.Line(s.Federation, 0), describePath(s.Link.Path, s.Link.LastFailure))
	fmt.Fprintf(w, "Runtime API %s, %d slots, SuperExec %s\n", s.RuntimeAddress, s.Slots, s.SuperExec)
	return printTable(w, []string{"RUN", "ARRIVING", "QUEUED", "WORKING", "UNSENT", "LAST FAILURE"}, len(s.Runs), func(i int) []string {
		r := s.Runs[i]
		return []string{fmt.Sprint(r.ID), fmt.Sprint(r.Arriving), fmt.Sprint(r.Queued), fmt.Sprint(r.Working), fmt.Sprint(r.Unsent), r.LastFailure}
	})
}

func showRelay(w io.Writer, s relayd.Status) error {
	fmt.Fprintf(w, "relay %s, %d circuits\n", s.PeerID, s.Relay.Circuits)
	for _, address := range s.Addresses {
		fmt.Fprintf(w, "address %s\n", address)
	}
	return printTable(w, []string{"FEDERATION", "LINK", "MEMBERS", "CIRCUITS", "BYTES"}, len(s.Relay.Federations), func(i int) []string {
		f := s.Relay.Federations[i]
		return []string{f.Name, f.Link.String(), fmt.Sprint(f.Members), fmt.Sprint(f.Circuits), fmt.Sprint(f.Bytes)}
	})
}

// describePath says in one line how a peer is reached.
func describePath(p *p2p.PathReport, failure string) string {
	if p == nil {
		if failure != "" {
			return "none: " + printable.Line(failure, 0)
		}
		return "none"
	}
	way := "direct"
	if !p.Direct {
		way = "through relay " + p.Relay
		if p.Limited {
			way += " (limited)"
		}
	}
	return fmt.Sprintf("%s by %s, rtt %.1f ms, %s in, %s out, since %s", way, p.Transport, p.RTTMillis,
		size(p.BytesIn), size(p.BytesOut), p.Since.Local().Format(time.TimeOnly))
}

func nameOr(name string, id uint64) string {
	if name != "" {
		return name
	}
	return fmt.Sprint(id)
}
