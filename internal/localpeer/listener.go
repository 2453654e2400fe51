package localpeer

import (
	"log/slog"
	"net"
)

// Listener returns the connections of l that the guard lets through, and closes all others. It is
// for ports whose bytes are forwarded unread.
func (g *Guard) Listener(l net.Listener, log *slog.Logger) net.Listener {
	return &listener{Listener: l, guard: g, log: log}
}

type listener struct {
	net.Listener
	guard *Guard
	log   *slog.Logger
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := l.guard.CheckConn(c); err != nil {
			l.log.Warn("connection refused", "addr", c.RemoteAddr().String(), "err", err)
			_ = c.Close()
			continue
		}
		return c, nil
	}
}
