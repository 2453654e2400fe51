package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/sec"

	"github.com/rhizome-fl/rhizome/internal/printable"
)

// Failure is the kind of an error, as far as it reveals its cause.
type Failure string

const (
	FailTimeout     Failure = "timeout"      // nothing came back: dropped, or nobody is there
	FailRefused     Failure = "refused"      // a reset or ICMP said that nobody is listening
	FailUnreachable Failure = "unreachable"  // this machine has no route there, or a router said so
	FailName        Failure = "name"         // the name has no address
	FailNameTimeout Failure = "name-timeout" // no name server answered
	FailWrongPeer   Failure = "wrong-peer"   // the other side proved a different peer id
	FailCertificate Failure = "certificate"  // that of wss is not trusted
	FailCut         Failure = "cut"          // connected, then ended by the other side or on the way
	FailGated       Failure = "gated"        // the other side says that this peer is not a member
	FailProxy       Failure = "proxy"        // the proxy said no
	FailProxyAuth   Failure = "proxy-auth"   // the proxy wants a password
	FailOther       Failure = "other"
)

// failureOf classifies an error.
func failureOf(err error) Failure {
	var wrongPeer sec.ErrPeerIDMismatch
	var closed *network.ConnError
	var name *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &wrongPeer), saysWrongPeer(err):
		return FailWrongPeer
	case errors.As(err, &closed) && closed.Remote && closed.ErrorCode == network.ConnGated:
		return FailGated
	case errors.As(err, &name) && !name.IsTimeout && !name.IsTemporary:
		return FailName
	case errors.As(err, &name):
		return FailNameTimeout
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(x509.UnknownAuthorityError)):
		return FailCertificate
	case errors.Is(err, syscall.ECONNREFUSED):
		return FailRefused
	case unreachable(err):
		return FailUnreachable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.Canceled),
		errors.As(err, &timeout) && timeout.Timeout():
		return FailTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, network.ErrReset):
		return FailCut
	}
	return FailOther
}

// saysWrongPeer recognises the error of QUIC, whose stack keeps only the text.
func saysWrongPeer(err error) bool {
	return err != nil && strings.Contains(err.Error(), "peer id mismatch")
}

func unreachable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETDOWN)
}

// done describes a step that began at some time and ended with or without err.
func done(began time.Time, err error) Step {
	s := Step{State: OK, Millis: millis(time.Since(began))}
	if err != nil {
		s.State, s.Failure, s.Detail = Failed, failureOf(err), printable.Line(err.Error(), maxDetail)
	}
	return s
}

func skipped(why string) Step { return Step{Detail: why} }

func millis(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}
