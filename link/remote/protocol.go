package remote

import "github.com/libp2p/go-libp2p/core/protocol"

const (
	// ControlProtocol carries the Control API, over HTTP, for members with the role operator.
	ControlProtocol protocol.ID = "/rhizome/control/1"
	// StatusProtocol carries GET /status, over HTTP, for members with the role observer or
	// operator.
	StatusProtocol protocol.ID = "/rhizome/status/1"
)
