// Package natlab builds small internets out of Linux network namespaces: public hosts,
// gateways with every usual kind of NAT, private hosts behind them, and wide-area links
// with delay, loss and a rate. Tests and demos run real programs in it.
//
//	host ── bridge ── gateway ═══ uplink ═══ inet ═══ uplink ═══ gateway ── bridge ── host
//	                 (NAT kind)  ([Link])            (router)
//
// What it guarantees:
//
//   - Nothing in a lab reaches the machine's own network: its namespaces are connected only
//     to each other.
//   - All private sites use 192.168.1.0/24, and hosts in two of them have the same addresses,
//     as in real life. Public addresses are from 11.0.0.0/8, since go-libp2p does not count the
//     documentation ranges as public and would run neither AutoNAT nor hole punching there.
//   - No kind of NAT hairpins: two hosts of one private site reach each other only by their
//     private addresses.
//   - What [Build] made, [Lab.Close] takes down; and if the process that called [Enter]
//     dies, however it dies, the kernel does.
//
// It works as root and, by means of a user namespace, without: see [Enter]. It needs the
// programs ip, nft and nsenter ([Available]), and /dev/net/tun for links that are not
// ideal ([Shapes]). It needs no netem: delay, loss and rate are applied in this process, to
// frames between two TUN devices, at up to 75 MB/s (450 MB/s with [Link.GSO]).
//
// It is not responsible for what runs in a lab: end it before Close.
package natlab
