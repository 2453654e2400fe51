//go:build !linux

package doctor

import "net"

// pathMTU is not known on this system.
func pathMTU(net.Conn) int { return 0 }
