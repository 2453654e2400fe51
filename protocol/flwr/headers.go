package flwr

// Flower's headers, in the lower case in which its clients send them.
const (
	// HeaderTaskToken carries the token of an app's task.
	HeaderTaskToken = "flwr-task-token"

	// What every client says about itself.
	HeaderPackageName    = "flwr-package-name"
	HeaderPackageVersion = "flwr-package-version"
	HeaderComponentName  = "flwr-component-name"

	// The signed identity of a stock SuperNode.
	HeaderPublicKey = "flwr-public-key"
	HeaderTimestamp = "flwr-timestamp"
	HeaderSignature = "flwr-signature"

	// The signature of a SuperExec that shares a secret with its host.
	HeaderSuperExecTimestamp  = "flwr-superexec-ts"
	HeaderSuperExecNonce      = "flwr-superexec-nonce"
	HeaderSuperExecBodySHA256 = "flwr-superexec-body-sha256"
	HeaderSuperExecSignature  = "flwr-superexec-signature"
)

// Media types.
const (
	TypeProtobuf = "application/protobuf"
	TypeStream   = "application/flower-protobuf-stream"
	TypeJSON     = "application/json"
)

// AuthnNone is what get-login-details answers when there is no user authentication.
const AuthnNone = "noop"

// Codes of the errors that a message may carry in place of content.
const (
	ErrorUnknown            = 0
	ErrorLoadClientApp      = 1 // the ClientApp could not be loaded
	ErrorClientApp          = 2 // the ClientApp raised an exception
	ErrorMessageUnavailable = 3
	ErrorReplyUnavailable   = 4
	ErrorNodeUnavailable    = 5
	ErrorModPrecondition    = 6
	ErrorInvalidFAB         = 7
	ErrorClientAppCrashed   = 8 // its process ended or stopped responding
)

// NodeSuperLink is the node id of a SuperLink.
const NodeSuperLink = 1
