package localpeer

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// ownerInProc finds the socket in the tables of /proc/net, for kernels and containers that do not
// answer sock_diag. It reads through all connections of the machine.
func ownerInProc(local, remote netip.AddrPort) (uint32, error) {
	tables := []string{"/proc/net/tcp", "/proc/net/tcp6"}
	for _, table := range tables {
		uid, found, err := searchTable(table, local, remote)
		if found || err != nil {
			return uid, err
		}
	}
	return 0, fmt.Errorf("there is no socket of %s in %s", remote, strings.Join(tables, " or "))
}

// Columns of the tables, which proc(5) describes.
const (
	columnLocal  = 1
	columnRemote = 2
	columnUID    = 7
	columnInode  = 9
)

// searchTable looks for the socket whose own address is the remote one.
func searchTable(path string, local, remote netip.AddrPort) (uid uint32, found bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, false, fmt.Errorf("look for a socket: %w", err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		columns := strings.Fields(lines.Text())
		if len(columns) <= columnInode || tableAddr(columns[columnLocal]) != remote || tableAddr(columns[columnRemote]) != local {
			continue
		}
		if columns[columnInode] == "0" {
			return 0, true, errHungUp
		}
		id, err := strconv.ParseUint(columns[columnUID], 10, 32)
		if err != nil {
			return 0, true, errors.New("look for a socket: the kernel's table makes no sense")
		}
		return uint32(id), true, nil
	}
	return 0, false, nil
}

// tableAddr parses an address in the format of the tables: four-byte words in the byte order of
// the machine, in hexadecimal. It returns the zero value for anything else.
func tableAddr(text string) netip.AddrPort {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	number, errPort := strconv.ParseUint(port, 16, 16)
	if err != nil || errPort != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number))
}
