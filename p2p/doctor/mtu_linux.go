package doctor

import (
	"net"

	"golang.org/x/sys/unix"
)

// pathMTU is what the kernel knows about the largest packet on the way of a TCP connection: the
// minimum of the route's, what routers said, and what the other side's segments allow. 0: not
// known.
func pathMTU(c net.Conn) int {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	mtu := 0
	_ = raw.Control(func(fd uintptr) {
		level, option, headers := unix.IPPROTO_IP, unix.IP_MTU, 20+20
		if tcp.RemoteAddr().(*net.TCPAddr).IP.To4() == nil {
			level, option, headers = unix.IPPROTO_IPV6, unix.IPV6_MTU, 40+20
		}
		route, err := unix.GetsockoptInt(int(fd), level, option)
		if err != nil {
			return
		}
		mtu = route
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		if info.Options&tcpTimestamps != 0 {
			headers += timestampSize
		}
		if segment := int(info.Snd_mss) + headers; segment < mtu {
			mtu = segment
		}
	})
	return mtu
}

const (
	// tcpTimestamps is TCPI_OPT_TIMESTAMPS of linux/tcp.h, for which x/sys has no name.
	tcpTimestamps = 1
	// timestampSize is that of the option in each segment, padded; it is not part of the MSS.
	timestampSize = 12
)
