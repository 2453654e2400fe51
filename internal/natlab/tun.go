//go:build linux

package natlab

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const tunDevice = "/dev/net/tun"

// vnetHeader is what precedes each frame of a TUN device with IFF_VNET_HDR.
const vnetHeader = 10

// openTUN creates a TUN device in a namespace. It lives as long as the file.
func openTUN(ns, name string, gso bool) (*os.File, error) {
	var f *os.File
	err := inNS(ns, func() error {
		fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", tunDevice, err)
		}
		if err := setUpTUN(fd, name, gso); err != nil {
			_ = unix.Close(fd)
			return err
		}
		f = os.NewFile(uintptr(fd), "tun "+ns+"/"+name)
		return nil
	})
	return f, err
}

func setUpTUN(fd int, name string, gso bool) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("device name %s: %w", name, err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("create TUN device %s: %w", name, err)
	}
	if !gso {
		return nil
	}
	const (
		tso = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
		uso = 0x20 | 0x40 // TUN_F_USO4, TUN_F_USO6; Linux 6.2
	)
	if unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tso|uso) == nil {
		return nil
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tso); err != nil {
		return fmt.Errorf("turn offloads of TUN device %s on: %w", name, err)
	}
	return nil
}

// packets returns how many wire packets a frame stands for, according to its virtio header.
func packets(frame []byte) int {
	const ecn = 0x80
	if kind := frame[1] &^ ecn; kind == 0 {
		return 1
	}
	header := int(binary.LittleEndian.Uint16(frame[2:]))
	segment := int(binary.LittleEndian.Uint16(frame[4:]))
	if segment == 0 {
		return 1
	}
	return max(1, (len(frame)-vnetHeader-header+segment-1)/segment)
}
