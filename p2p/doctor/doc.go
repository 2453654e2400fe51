// Package doctor finds out how a site reaches its link and what stands in the way, and says
// so in one sentence for the user and one for whoever runs the firewall.
//
// # What it guarantees
//
//   - A finding is what was measured in this run. What could not be determined is reported as
//     such, with the reason; nothing is concluded from the absence of a measurement.
//   - It ends: every check has a deadline of its own (limits.go) and all together have
//     [MaxTime], whatever hangs: names, proxies, handshakes, relays.
//   - It changes nothing: it never joins, uses up no ticket, and keeps no file.
//   - The verdict is a function of the findings ([Judge]); no check is repeated for it.
//
// # How
//
//	            phase 1: ways              phase 2: relays and NAT            phase 3: paths
//	for each address of link and relays   for each relay that answers        for each way to the link
//	  name, TCP connect, CONNECT proxy,     standing, reservation, circuit     throughput, one after
//	  secured handshake, identify,        mapping (from phase 1), filtering,   the other
//	  clock and round trip                hairpin; UPnP since phase 1
//
// The handshakes of phase 1 are those that a node makes: the same transports, the same proxy, the
// same check of the peer id. They come from one host, so that TCP leaves from one local port and
// QUIC from one socket, and what the far ends see of these reveals how the NAT maps. Connections
// are made by the transports and not by the swarm, which would stop at the first that works.
//
// Filtering is tested with a second socket that has spoken to one peer only: another peer then
// knocks at it from an address that the NAT has not seen ([KnockProtocol]).
//
// # The server side
//
// [Serve] answers the doctors of others on links and relays:
//
//	protocol                     who may use it                      cost, at most (limits.go)
//	/rhizome/observe/1           members and those who may join      8 answers of 100 bytes a stream
//	/rhizome/knock/1             members; on a relay anybody         one SYN and one datagram to the asker's own address
//	/rhizome/throughput/1        members, on links only              2 transfers of 4 MiB or 1.5 s at a time
//
// It is not responsible for who is a member (the host's gate), nor for the paths of a running
// daemon, which its status shows; [Measure] adds their throughput.
package doctor
