//go:build linux

package nat

import "time"

// These types hold the parts of `rhizome status --json` that the tests look at.

type pathStatus struct {
	Direct    bool      `json:"direct"`
	Relay     string    `json:"relay"`
	Transport string    `json:"transport"`
	Address   string    `json:"address"`
	Since     time.Time `json:"since"`
	RTTMillis float64   `json:"rtt_ms"`
	BytesIn   int64     `json:"bytes_in"`
	BytesOut  int64     `json:"bytes_out"`
}

type nodeStatus struct {
	PeerID string `json:"peer_id"`
	NodeID string `json:"node_id"`
	Link   struct {
		Session struct {
			Open  bool      `json:"open"`
			Since time.Time `json:"since"`
			Heard time.Time `json:"heard"`
		} `json:"session"`
		Path        *pathStatus `json:"path"`
		LastFailure string      `json:"last_failure"`
	} `json:"link"`
}

type linkStatus struct {
	PeerID    string     `json:"peer_id"`
	Addresses []string   `json:"addresses"`
	Nodes     []nodeSeen `json:"nodes"`
}

// nodeSeen is a node as its link reports it.
type nodeSeen struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	PeerID    string      `json:"peer_id"`
	Status    string      `json:"status"`
	Session   *time.Time  `json:"session"`
	AwayUntil *time.Time  `json:"away_until"`
	Path      *pathStatus `json:"path"`
}

type relayStatus struct {
	PeerID    string   `json:"peer_id"`
	Addresses []string `json:"addresses"`
}

// asNode asks a node for its status. A node that does not answer has no session.
func (d *daemon) asNode() (s nodeStatus) {
	d.status(&s)
	return s
}

// asLink asks a link for its status.
func (d *daemon) asLink() (s linkStatus) {
	d.status(&s)
	return s
}

// direct returns the node's direct path to its link, or nil. Its Since is when it opened.
func (d *daemon) direct() *pathStatus {
	if p := d.asNode().Link.Path; p != nil && p.Direct {
		return p
	}
	return nil
}

// node returns a node as the link knows it, or an empty value if the link does not know it.
func (s linkStatus) node(name string) nodeSeen {
	for _, n := range s.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nodeSeen{}
}

// sees returns how a link sees a node with an open session, or nil.
func (s linkStatus) sees(name string) *pathStatus {
	if n := s.node(name); n.Session != nil {
		return n.Path
	}
	return nil
}
