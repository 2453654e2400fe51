//go:build linux

package natlab

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The functions Cut, Restore and FlushNAT act on labs held by another process, which they find
// by the prefix of the namespaces. The methods of [Lab] say what they do.

// Cut pulls the plug of a site.
func Cut(prefix, site string) error {
	router := prefix + "-inet"
	device, err := deviceOf(router, site)
	if err != nil {
		return err
	}
	rules := fmt.Sprintf(`create table ip cut-%[1]s
table ip cut-%[1]s {
  chain forward { type filter hook forward priority -500; policy accept;
    iifname "%[1]s" drop
    oifname "%[1]s" drop
  }
}
`, device)
	return tool(router, rules, "nft", "-f", "-")
}

// Restore puts the plug of a site back.
func Restore(prefix, site string) error {
	router := prefix + "-inet"
	device, err := deviceOf(router, site)
	if err != nil {
		return err
	}
	return tool(router, "", "nft", "delete", "table", "ip", "cut-"+device)
}

// FlushNAT makes the site's gateways forget their mappings.
func FlushNAT(prefix, site string) error {
	err := flushConntrack(prefix + "-" + site + "-gw")
	carrier := prefix + "-" + site + "-isp"
	if _, missing := os.Stat(filepath.Join(namespaces, carrier)); missing == nil {
		err = errors.Join(err, flushConntrack(carrier))
	}
	return err
}

// deviceOf finds the router's device towards a site, which has the site's name as its alias.
func deviceOf(router, site string) (device string, err error) {
	err = inNS(router, func() error {
		out, err := exec.Command("ip", "-json", "link").Output()
		if err != nil {
			return fmt.Errorf("list devices of %s: %w", router, err)
		}
		var devices []struct{ Ifname, Ifalias string }
		if err := json.Unmarshal(out, &devices); err != nil {
			return fmt.Errorf("list devices of %s: %w", router, err)
		}
		for _, d := range devices {
			if d.Ifalias == site {
				device = d.Ifname
				return nil
			}
		}
		return fmt.Errorf("no site %q at %s", site, router)
	})
	return device, err
}

// flushConntrack deletes all connection tracking entries of a namespace, and the NAT mappings
// along with them: ctnetlink's delete without a filter.
func flushConntrack(ns string) error {
	err := inNS(ns, func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		const (
			headers  = 20 // nlmsghdr and nfgenmsg; family 0 is all families
			ctDelete = 2  // IPCTNL_MSG_CT_DELETE
		)
		request := make([]byte, headers)
		binary.NativeEndian.PutUint32(request[0:], headers)
		binary.NativeEndian.PutUint16(request[4:], unix.NFNL_SUBSYS_CTNETLINK<<8|ctDelete)
		binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
		if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		answer := make([]byte, 4096)
		n, _, err := unix.Recvfrom(fd, answer, 0)
		if err != nil {
			return err
		}
		if n < headers {
			return fmt.Errorf("answer of %d bytes", n)
		}
		if code := int32(binary.NativeEndian.Uint32(answer[16:])); code != 0 {
			return unix.Errno(-code)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("flush NAT mappings of %s: %w", ns, err)
	}
	return nil
}
