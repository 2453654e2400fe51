package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/rhizome-fl/rhizome/internal/datadir"
)

// LoadOrPickPort reads the port number in the file at path, or picks one and writes it
// there. A port that stays the same keeps tickets, firewall rules and NAT mappings valid.
func LoadOrPickPort(path string) (int, error) {
	raw, err := os.ReadFile(path)
	switch {
	case err == nil:
		port, err := strconv.Atoi(strings.TrimSpace(string(raw)))
		if err != nil || port < 1 || port > 65535 {
			return 0, fmt.Errorf("file %s holds no port number: write one into it, or delete it to get a new one", path)
		}
		return port, nil
	case !errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("read port: %w", err)
	}
	port, err := PickPort()
	if err != nil {
		return 0, err
	}
	if err := datadir.CreateFile(path, []byte(strconv.Itoa(port)+"\n"), 0o600); errors.Is(err, fs.ErrExist) {
		return LoadOrPickPort(path)
	} else if err != nil {
		return 0, fmt.Errorf("write port: %w", err)
	}
	return port, nil
}

// PickPort finds a port that is free for both TCP and UDP on all interfaces.
func PickPort() (int, error) {
	var last error
	for range 16 { // the system picks one for TCP; it is rarely taken for UDP
		tcp, err := net.Listen("tcp", ":0")
		if err != nil {
			return 0, fmt.Errorf("pick a port: %w", err)
		}
		port := tcp.Addr().(*net.TCPAddr).Port
		udp, err := net.ListenPacket("udp", ":"+strconv.Itoa(port))
		tcp.Close()
		if err == nil {
			udp.Close()
			return port, nil
		}
		last = err
	}
	return 0, fmt.Errorf("pick a port: %w", last)
}
