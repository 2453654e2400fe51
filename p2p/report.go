package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Report says how a peer is reached, as JSON for a status. Both parts are embedded in what a link
// or a node reports about the peer.
type Report struct {
	Path *PathReport `json:"path,omitempty"` // nil: there is no connection
	// LastFailure is the last failure on the way to the peer.
	LastFailure   string     `json:"last_failure,omitempty"`
	LastFailureAt *time.Time `json:"last_failure_at,omitempty"`
}

// PathReport is the path that new streams take.
type PathReport struct {
	Direct    bool      `json:"direct"`
	Relay     string    `json:"relay,omitempty"` // peer id of the relay
	Limited   bool      `json:"limited,omitempty"`
	Transport string    `json:"transport"`
	Security  string    `json:"security,omitempty"`
	Address   string    `json:"address"`
	Since     time.Time `json:"since"`
	RTTMillis float64   `json:"rtt_ms,omitempty"`
	// BytesIn and BytesOut count all streams with the peer since the host was made.
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
}

// Report says how a peer is reached.
func (h *Host) Report(p peer.ID) Report {
	var r Report
	ways := h.Ways(p)
	if ways.Failure != nil {
		r.LastFailure, r.LastFailureAt = ways.Failure.Err.Error(), &ways.Failure.At
	}
	if len(ways.Paths) == 0 {
		return r
	}
	path := ways.Paths[0]
	r.Path = &PathReport{
		Direct: path.Direct(), Limited: path.Limited, Transport: path.Transport, Security: path.Security,
		Address: path.Remote.String(), Since: path.Since, RTTMillis: float64(path.RTT) / float64(time.Millisecond),
		BytesIn: ways.In, BytesOut: ways.Out,
	}
	if !path.Direct() {
		r.Path.Relay = path.Relay.String()
	}
	return r
}
