// Package tunnel carries local TCP connections to a peer: what a program on this machine
// says to a local port is said on a stream of the overlay.
//
// Bytes pass unchanged, in both directions, and each direction ends when its source does.
// The package is not responsible for who may use the local port (bind it to loopback), nor
// for reaching the peer.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/rhizome-fl/rhizome/internal/logs"
)

var log = logs.For("p2p/tunnel")

// Dial opens a stream to the peer.
type Dial func(ctx context.Context) (net.Conn, error)

// Serve carries connections until ctx ends, then closes all of them and the listener.
func Serve(ctx context.Context, listener net.Listener, dial Dial) error {
	ctx, cancel := context.WithCancel(ctx)
	var connections sync.WaitGroup
	defer connections.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	slots := make(chan struct{}, maxConnections)
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept on %s: %w", listener.Addr(), err)
		}
		select {
		case slots <- struct{}{}:
		default:
			log.Warn("local connection refused: too many are open", "open", maxConnections)
			_ = conn.Close()
			continue
		}
		connections.Go(func() {
			defer func() { <-slots }()
			if err := carry(ctx, conn, dial); err != nil {
				log.Warn("could not carry a connection", "addr", conn.RemoteAddr(), "err", err)
			}
		})
	}
}

// carry connects one local connection with a stream, until both directions have ended.
func carry(ctx context.Context, local net.Conn, dial Dial) error {
	defer local.Close()
	dialling, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	remote, err := dial(dialling)
	if err != nil {
		return err
	}
	defer remote.Close()
	stop := context.AfterFunc(ctx, func() {
		_ = local.Close()
		_ = remote.Close()
	})
	defer stop()
	var wait sync.WaitGroup
	var errs [2]error
	wait.Go(func() { errs[0] = pass(remote, local) })
	wait.Go(func() { errs[1] = pass(local, remote) })
	wait.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errs[:]...)
}

// pass copies until from ends, and then ends to. After an error neither direction can go on.
func pass(to, from net.Conn) error {
	_, err := io.Copy(to, from)
	if err != nil {
		_ = to.Close()
		_ = from.Close()
		if errors.Is(err, net.ErrClosed) {
			return nil // the other direction failed first
		}
		return err
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return to.Close()
}
