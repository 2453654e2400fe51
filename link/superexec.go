package link

import (
	"net"

	"github.com/rhizome-fl/rhizome/exec/launch"
)

func (l *Link) newSuperExec() *launch.Owned {
	if l.cfg.SuperExec == nil {
		return launch.Own(nil)
	}
	options := l.cfg.SuperExec(l.dir.Path("superexec"), l.runtimeAddress(), l.secretFile)
	return launch.Own(&options)
}

// superExecSecret is the file with the secret that the link makes for its own SuperExec.
const superExecSecret = "superexec.secret"

// openSecret makes a secret for the link's own SuperExec, unless the user named one: no other
// process on this machine that asks for a task gets one.
func (l *Link) openSecret() (err error) {
	if l.cfg.SuperExec == nil || len(l.cfg.ExecSecret) > 0 {
		return nil
	}
	l.secretFile = l.dir.Path(superExecSecret)
	l.cfg.ExecSecret, err = launch.OwnSecret(l.secretFile)
	return err
}

// runtimeAddress is where processes of this machine reach the HTTP APIs.
func (l *Link) runtimeAddress() string {
	host, port, err := net.SplitHostPort(l.HTTPAddress())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return l.HTTPAddress()
}
