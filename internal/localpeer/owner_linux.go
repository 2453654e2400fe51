package localpeer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Supported tells whether this system says whose socket is at the other end.
const Supported = true

// The constants below describe the question and the answer of sock_diag(7): struct inet_diag_req_v2
// and struct inet_diag_msg of linux/inet_diag.h. Ports and addresses are in network byte order,
// everything else is in the machine's.
const (
	sockDiagByFamily = 20
	questionLen      = 56
	answerLen        = 72
	uidAt            = 64
	inodeAt          = 68
	idAt             = 8 // of struct inet_diag_sockid in the question
	noCookie         = 0xffffffff
)

// errHungUp: once its process has closed a socket, the kernel says that it is root's.
var errHungUp = errors.New("the process has closed its end")

// ownerOf finds the user of the TCP socket at the remote end of a connection within this machine.
// That socket calls our remote address its own.
func ownerOf(local, remote netip.AddrPort) (uint32, error) {
	uid, err := askKernel(local, remote)
	if err == nil || errors.Is(err, errHungUp) {
		return uid, err
	}
	uid, errProc := ownerInProc(local, remote)
	if errProc != nil {
		return 0, errors.Join(err, errProc)
	}
	return uid, nil
}

// askKernel asks for one socket by sock_diag.
func askKernel(local, remote netip.AddrPort) (uint32, error) {
	question := make([]byte, questionLen)
	question[0] = unix.AF_INET
	if remote.Addr().Is6() {
		question[0] = unix.AF_INET6
	}
	question[1] = unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(question[4:], noCookie) // whatever state it is in
	id := question[idAt:]
	binary.BigEndian.PutUint16(id[0:], remote.Port())
	binary.BigEndian.PutUint16(id[2:], local.Port())
	copy(id[4:20], remote.Addr().AsSlice())
	copy(id[20:36], local.Addr().AsSlice())
	binary.NativeEndian.PutUint32(id[40:], noCookie)
	binary.NativeEndian.PutUint32(id[44:], noCookie)

	conn, err := netlink.Dial(unix.NETLINK_INET_DIAG, nil)
	if err != nil {
		return 0, fmt.Errorf("ask the kernel: %w", err)
	}
	defer conn.Close()
	answers, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request},
		Data:   question,
	})
	if err != nil {
		return 0, fmt.Errorf("ask the kernel: %w", err)
	}
	if len(answers) != 1 || len(answers[0].Data) < answerLen {
		return 0, errors.New("ask the kernel: it gave no answer that makes sense")
	}
	answer := answers[0].Data
	if binary.NativeEndian.Uint32(answer[inodeAt:]) == 0 {
		return 0, errHungUp
	}
	return binary.NativeEndian.Uint32(answer[uidAt:]), nil
}
