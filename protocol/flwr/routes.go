package flwr

// Prefixes of the three APIs.
const (
	PrefixControl = "/v1/control/"
	PrefixFleet   = "/v1/fleet/"
	PrefixRuntime = "/v1/runtime/"
)

// PathHealth answers GET and HEAD, without authentication.
const PathHealth = "/health"

// Routes of the Control API (flwr command to SuperLink) that Rhizome serves.
const (
	PathStartRun          = PrefixControl + "start-run"
	PathListRuns          = PrefixControl + "list-runs"
	PathStopRun           = PrefixControl + "stop-run"
	PathStreamLogs        = PrefixControl + "stream-logs"
	PathPullArtifacts     = PrefixControl + "pull-artifacts"
	PathRegisterNode      = PrefixControl + "register-node"
	PathUnregisterNode    = PrefixControl + "unregister-node"
	PathListNodes         = PrefixControl + "list-nodes"
	PathListFederations   = PrefixControl + "list-federations"
	PathShowFederation    = PrefixControl + "show-federation"
	PathGetLoginDetails   = PrefixControl + "get-login-details"
	PathGetAuthTokens     = PrefixControl + "get-auth-tokens"
	PathRefreshAuthTokens = PrefixControl + "refresh-auth-tokens"
)

// Routes of the Fleet API (stock SuperNode to SuperLink).
const (
	PathFleetRegisterNode           = PrefixFleet + "register-node"
	PathFleetActivateNode           = PrefixFleet + "activate-node"
	PathFleetDeactivateNode         = PrefixFleet + "deactivate-node"
	PathFleetUnregisterNode         = PrefixFleet + "unregister-node"
	PathFleetSendNodeHeartbeat      = PrefixFleet + "send-node-heartbeat"
	PathFleetPullMessages           = PrefixFleet + "pull-messages"
	PathFleetPushMessages           = PrefixFleet + "push-messages"
	PathFleetGetRun                 = PrefixFleet + "get-run"
	PathFleetGetFAB                 = PrefixFleet + "get-fab"
	PathFleetPushObject             = PrefixFleet + "push-object"
	PathFleetPullObject             = PrefixFleet + "pull-object"
	PathFleetConfirmMessageReceived = PrefixFleet + "confirm-message-received"
)

// Routes of the Runtime API (SuperExec and apps to their host) that Rhizome serves.
const (
	PathAcquireTask            = PrefixRuntime + "acquire-task"
	PathSendTaskHeartbeat      = PrefixRuntime + "send-task-heartbeat"
	PathPullTaskInput          = PrefixRuntime + "pull-task-input"
	PathPushTaskOutput         = PrefixRuntime + "push-task-output"
	PathPushMessages           = PrefixRuntime + "push-messages"
	PathPullMessages           = PrefixRuntime + "pull-messages"
	PathPushObject             = PrefixRuntime + "push-object"
	PathPullObject             = PrefixRuntime + "pull-object"
	PathConfirmMessageReceived = PrefixRuntime + "confirm-message-received"
	PathGetNodes               = PrefixRuntime + "get-nodes"
	PathPushLogs               = PrefixRuntime + "push-logs"
)

// UnsupportedControl are routes of the Control API for federation management, Flower Hub,
// agents, automations and simulation; they answer 501 with code 1, as a stock SuperLink
// without these features does.
func UnsupportedControl() []string {
	return prefixed(PrefixControl,
		"accept-invitation", "add-app", "add-node-to-federation", "archive-federation", "begin-connector-oauth",
		"complete-connector-oauth", "configure-simulation-federation", "create-federation", "create-invitation",
		"disconnect-connector", "get-run-series", "list-app-associations", "list-apps", "list-automations",
		"list-connectors", "list-invitations", "list-run-series", "list-run-series-events", "reject-invitation",
		"remove-account-from-federation", "remove-app", "remove-node-from-federation", "revoke-invitation",
		"set-federation-icon", "start-automation", "stop-automation", "stream-run-events", "update-run-series-description",
	)
}

// UnsupportedRuntime are routes of the Runtime API for agents, models and connectors; they
// answer 501 with code 1.
func UnsupportedRuntime() []string {
	return prefixed(PrefixRuntime,
		"create-task", "get-compacted-contexts", "get-connector", "get-run-series-events", "pull-task-message",
		"push-task-events", "push-task-message", "put-compacted-context", "record-task-usage", "responses", "start-automation",
	)
}

func prefixed(prefix string, names ...string) []string {
	for i, name := range names {
		names[i] = prefix + name
	}
	return names
}
