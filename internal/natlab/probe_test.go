//go:build linux

package natlab

import (
	"fmt"
	"net"
	"testing"
	"time"
)

const (
	// patience is how long a probe waits for an answer that should come.
	patience = 5 * time.Second
	// silence is how long a probe waits for an answer that should not come: far more than a lab's
	// ideal lines need.
	silence = 250 * time.Millisecond
)

// udp opens a socket on a host.
func udp(t *testing.T, l *Lab, host string, port int) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	err := l.In(host, func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{Port: port})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// mirror answers each datagram with the address that it came from.
func mirror(t *testing.T, l *Lab, host string, port int) {
	t.Helper()
	c := udp(t, l, host, port)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 100); ; {
			_, from, err := c.ReadFromUDP(b)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDP([]byte(from.String()), from)
		}
	}()
	t.Cleanup(func() { _ = c.Close(); <-done })
}

func endpoint(addr string, port int) *net.UDPAddr {
	return &net.UDPAddr{IP: net.ParseIP(addr), Port: port}
}

// mapping asks a mirror how it sees c; the result is empty if no answer comes.
func mapping(c *net.UDPConn, mirror *net.UDPAddr, wait time.Duration) string {
	b := make([]byte, 100)
	_, _ = c.WriteToUDP([]byte("x"), mirror)
	_ = c.SetReadDeadline(time.Now().Add(wait))
	n, _, err := c.ReadFromUDP(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// reaches tells whether a datagram from one socket arrives at another.
func reaches(from *net.UDPConn, to *net.UDPAddr, at *net.UDPConn, wait time.Duration) bool {
	_, _ = from.WriteToUDP([]byte("hi"), to)
	_ = at.SetReadDeadline(time.Now().Add(wait))
	_, _, err := at.ReadFromUDP(make([]byte, 10))
	return err == nil
}

// listen accepts and closes TCP connections on a host.
func listen(t *testing.T, l *Lab, host string, port int) {
	t.Helper()
	var listener net.Listener
	err := l.In(host, func() (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprint(":", port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
}

// dial connects from a host.
func dial(l *Lab, host, addr string, port int, wait time.Duration) error {
	return l.In(host, func() error {
		c, err := net.DialTimeout("tcp4", fmt.Sprintf("%s:%d", addr, port), wait)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
}
