package node

import "github.com/rhizome-fl/rhizome/exec/launch"

func (n *Node) newSuperExec() *launch.Owned {
	if n.cfg.SuperExec == nil {
		return launch.Own(nil)
	}
	options := n.cfg.SuperExec(n.dir.Path("superexec"), n.RuntimeAddress())
	return launch.Own(&options)
}
