//go:build !linux

package transport

import "net"

// tune is for Linux.
func tune(net.Conn) {}
