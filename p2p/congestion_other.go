//go:build !linux

package p2p

import "net"

// preferCongestion is for Linux.
func preferCongestion(net.Conn) {}
