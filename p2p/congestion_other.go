//go:build !linux

package p2p

import "net"

// tune is for Linux.
func tune(net.Conn) {}
