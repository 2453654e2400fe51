package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

func newMember() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "member",
		Short: "List, let in and remove members of a running link",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMemberList(), newMemberAdd(), newMemberRemove())
	return cmd
}

func newMemberList() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List the members",
		Example: "  rhizome member ls --data ./hub",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var members []membership.Member
			if err := callDaemon(cmd, data, http.MethodGet, "/members", nil, &members); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, members)
			}
			return printTable(cmd.OutOrStdout(), []string{"PEER", "ROLE", "NAME", "ADDED", "REVOKED"}, len(members), func(i int) []string {
				m := members[i]
				return []string{m.PeerID, string(m.Role), m.Name, timeOrNever(&m.AddedAt), timeOrNever(m.RevokedAt)}
			})
		},
	}
	dataFlag(cmd, &data, "link")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func newMemberAdd() *cobra.Command {
	var data, role, name string
	cmd := &cobra.Command{
		Use:     "add PEER-ID",
		Short:   "Let a peer join by multiaddr, without a ticket",
		Example: "  rhizome member add --data ./hub 12D3KooW...   # then there: rhizome node --join /ip4/.../p2p/...",
		Args:    exactlyOne("a peer id, see rhizome id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := membership.MemberRequest{PeerID: args[0], Role: join.Role(role), Name: name}
			return callDaemon(cmd, data, http.MethodPost, "/members", req, nil)
		},
	}
	dataFlag(cmd, &data, "link")
	cmd.Flags().StringVar(&role, "role", string(join.RoleNode), "node, operator or observer")
	cmd.Flags().StringVar(&name, "name", "", "what to call it in lists")
	return cmd
}

func newMemberRemove() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "rm PEER-ID",
		Short: "Remove a member for good",
		Long: `Cuts the member's connections at once and never lets this peer id in again. For a node
this is the same as "flwr supernode unregister".`,
		Example: "  rhizome member rm --data ./hub 12D3KooW...",
		Args:    exactlyOne("a peer id, see rhizome member ls"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return callDaemon(cmd, data, http.MethodDelete, "/members/"+args[0], nil, nil)
		},
	}
	dataFlag(cmd, &data, "link")
	return cmd
}
