package transport

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/internal/logs"
)

var log = logs.For("p2p/transport")

// congestion is the control that our TCP connections ask for. Loss decides over a long line,
// not windows: at 1 % of it and 50 ms, cubic comes to 0.4 MB/s, and bbr to 7.
const congestion = "bbr"

// tune chooses it, where the kernel has it and lets us, and keeps the queue before it short: the
// kernel would take 4 MB, wake a writer only when a third of that has left, and have all who
// write to the connection wait behind it, which at 1 Mbit/s is more than the ten seconds after
// which yamux gives the connection up. Connections that are not TCP, or hide that they are, stay
// as they are.
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
			log.Debug("the kernel's own congestion control stays", "wanted", congestion, "err", err)
		}
		if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent); err != nil {
			log.Debug("the kernel queues as it likes", "err", err)
		}
	})
}
