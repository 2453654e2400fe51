//go:build linux

package natlab

// Forget is FlushNAT for a strict gateway: from now on it silently drops everything that belongs
// to no connection whose beginning it saw. TCP connections that went through it are therefore
// dead, and neither side is told; a FIN or RST does not pass either, so a process on a host
// behind it may be killed, and be gone as if its machine had lost power. New connections
// work. UDP has no beginning: whoever sends opens a mapping again.
func (l *Lab) Forget(site string) error {
	s, err := l.site(site)
	if err != nil {
		return err
	}
	for _, gateway := range s.gateways {
		// By default, Linux picks up connections in the middle.
		if err := sysctl(gateway, map[string]string{"net.netfilter.nf_conntrack_tcp_loose": "0"}); err != nil {
			return err
		}
		if err := tool(gateway, strict, "nft", "-f", "-"); err != nil {
			return err
		}
	}
	return l.FlushNAT(site)
}

// strict may be loaded again and again.
const strict = `table ip strict
flush table ip strict
table ip strict {
  chain forward { type filter hook forward priority -10; policy accept;
    ct state invalid drop
  }
}
`
