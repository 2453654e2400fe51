package node

import "github.com/rhizome-fl/rhizome/exec/launch"

// superExecSecret is the file of the secret that the node makes for its own SuperExec: anybody
// else on this machine who asks for a task gets none.
const superExecSecret = "superexec.secret"

func (n *Node) newSuperExec() (_ *launch.Owned, err error) {
	if n.cfg.SuperExec == nil {
		return launch.Own(nil), nil
	}
	secretFile := n.dir.Path(superExecSecret)
	if n.execSecret, err = launch.OwnSecret(secretFile); err != nil {
		return nil, err
	}
	options := n.cfg.SuperExec(n.dir.Path("superexec"), n.RuntimeAddress(), secretFile)
	return launch.Own(&options), nil
}
