package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

func newTicket() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ticket",
		Short: "Make, list and revoke tickets of a running link",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTicketCreate(), newTicketList(), newTicketRevoke())
	return cmd
}

func newTicketCreate() *cobra.Command {
	var data, role string
	var expires time.Duration
	var uses int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a ticket, which lets its bearer join",
		Long: `Makes a ticket and prints it on stdout. Whoever has it can join until it expires or is used
up, so handle it like a password. It names the addresses that the link has now.`,
		Example: `  rhizome ticket create --data ./hub --expires 24h --uses 1
  rhizome ticket create --data ./hub --role operator     # for rhizome proxy`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := membership.TicketRequest{Role: join.Role(role), LifeSeconds: int64(expires / time.Second), MaxUses: uses}
			var made membership.Ticket
			if err := callDaemon(cmd, data, http.MethodPost, "/tickets", req, &made); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, made)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), made.Text)
			return err
		},
	}
	dataFlag(cmd, &data, "link")
	cmd.Flags().StringVar(&role, "role", string(join.RoleNode), "node, operator (may use flwr through rhizome proxy) or observer (may read the status)")
	ageFlag(cmd.Flags(), &expires, "expires", membership.DefaultTicketLife, "", "how long it can be used: days (7d) or a duration (24h)")
	cmd.Flags().IntVar(&uses, "uses", 0, "how many may join with it (0: any number)")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func newTicketList() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List the tickets; the text of each is shown only when it is made",
		Example: "  rhizome ticket ls --data ./hub",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var tickets []membership.Ticket
			if err := callDaemon(cmd, data, http.MethodGet, "/tickets", nil, &tickets); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, tickets)
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "ROLE", "USES", "EXPIRES", "STATE"}, len(tickets), func(i int) []string {
				t := tickets[i]
				return []string{t.ID, string(t.Role), usesOf(t), timeOrNever(t.ExpiresAt), ticketState(t)}
			})
		},
	}
	dataFlag(cmd, &data, "link")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func usesOf(t membership.Ticket) string {
	if t.MaxUses == 0 {
		return fmt.Sprint(t.Uses)
	}
	return fmt.Sprintf("%d/%d", t.Uses, t.MaxUses)
}

func ticketState(t membership.Ticket) string {
	switch {
	case t.Usable:
		return "usable"
	case t.RevokedAt != nil:
		return "revoked"
	case t.MaxUses > 0 && t.Uses >= t.MaxUses:
		return "used up"
	default:
		return "expired"
	}
}

func newTicketRevoke() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:     "revoke ID",
		Short:   "Let nobody else in with a ticket; members who joined with it stay",
		Example: "  rhizome ticket revoke --data ./hub 4f1c9a",
		Args:    exactlyOne("the id of a ticket, see rhizome ticket ls"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return callDaemon(cmd, data, http.MethodDelete, "/tickets/"+args[0], nil, nil)
		},
	}
	dataFlag(cmd, &data, "link")
	return cmd
}
