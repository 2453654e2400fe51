//go:build !linux

package transport

import "net"

// tune does nothing: what it does on Linux is specific to Linux.
func tune(net.Conn) {}
