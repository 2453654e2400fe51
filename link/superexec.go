package link

import (
	"net"

	"github.com/rhizome-fl/rhizome/exec/launch"
)

func (l *Link) newSuperExec() *launch.Owned {
	if l.cfg.SuperExec == nil {
		return launch.Own(nil)
	}
	options := l.cfg.SuperExec(l.dir.Path("superexec"), l.runtimeAddress())
	return launch.Own(&options)
}

// runtimeAddress is where processes of this machine reach the HTTP APIs.
func (l *Link) runtimeAddress() string {
	host, port, err := net.SplitHostPort(l.HTTPAddress())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return l.HTTPAddress()
}
