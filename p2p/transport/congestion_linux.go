package transport

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/internal/logs"
)

var log = logs.For("p2p/transport")

// congestion is the control that our TCP connections ask for. On a long line it is loss that
// decides, not windows: at 1 % loss and 50 ms, cubic achieves 0.4 MB/s, and bbr 7.
const congestion = "bbr"

// tune chooses it where the kernel has it and lets us, and keeps the queue in the kernel short. By
// default the kernel would take 4 MB, wake a writer only when a third of that has left, and make
// everybody who writes to the connection wait behind it, which at 1 Mbit/s is more than the ten
// seconds after which yamux gives the connection up. Connections that are not TCP, or hide that
// they are, stay as they are.
func tune(c net.Conn) {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return // it is closed
	}
	_ = raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion); err != nil {
			log.Debug("keeping the kernel's own congestion control", "wanted", congestion, "err", err)
		}
		if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent); err != nil {
			log.Debug("could not shorten the kernel's queue", "err", err)
		}
	})
}
