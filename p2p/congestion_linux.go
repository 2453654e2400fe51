package p2p

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// congestion is the control that our TCP connections ask for. Loss decides over a long line,
// not windows: at 1 % of it and 50 ms, cubic comes to 0.4 MB/s, and bbr to 7.
const congestion = "bbr"

// preferCongestion chooses it, where the kernel has it and lets us. Connections that are not
// TCP, or hide that they are, stay as they are.
func preferCongestion(c net.Conn) {
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
			log.Debugw("the kernel's own congestion control stays", "wanted", congestion, "err", err)
		}
	})
}
