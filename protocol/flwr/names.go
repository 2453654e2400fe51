package flwr

import "time"

// Media types.
const (
	ContentType       = "application/protobuf"
	ContentTypeStream = "application/flower-protobuf-stream"
)

// Prefixes of the three APIs; a route is prefix + name, such as "/v1/control/start-run".
const (
	PathControl = "/v1/control/"
	PathFleet   = "/v1/fleet/"
	PathRuntime = "/v1/runtime/"
	PathHealth  = "/health"
)

// Headers.
const (
	HeaderPackageName    = "flwr-package-name"
	HeaderPackageVersion = "flwr-package-version"
	HeaderComponentName  = "flwr-component-name"
	HeaderTaskToken      = "flwr-task-token"

	HeaderPublicKey = "flwr-public-key"
	HeaderTimestamp = "flwr-timestamp"
	HeaderSignature = "flwr-signature"

	HeaderExecTimestamp  = "flwr-superexec-ts"
	HeaderExecNonce      = "flwr-superexec-nonce"
	HeaderExecBodySHA256 = "flwr-superexec-body-sha256"
	HeaderExecSignature  = "flwr-superexec-signature"
)

// Version that this package speaks; peers of the same major.minor are compatible.
const Version = "1.41.0"

// SuperLinkNodeID is the node id of every SuperLink.
const SuperLinkNodeID = 1

// DefaultTTL of a message.
const DefaultTTL = 43200 * time.Second

// EarliestMessage is the least created_at, in Unix seconds, that a SuperLink takes.
const EarliestMessage = 1740700800

// MessageTypeSystem is the type of errors that answer an instruction nobody knows.
const MessageTypeSystem = "system"

// Codes in the Error of a message.
const (
	ErrorUnknown            = 0
	ErrorLoadClientApp      = 1
	ErrorClientAppRaised    = 2
	ErrorMessageUnavailable = 3
	ErrorReplyUnavailable   = 4
	ErrorNodeUnavailable    = 5
	ErrorModPrecondition    = 6
	ErrorInvalidFAB         = 7
	ErrorClientAppCrashed   = 8
)
