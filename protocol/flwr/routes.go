package flwr

// Prefixes of the three APIs; a route is a prefix followed by a name.
const (
	PathControl = "/v1/control/"
	PathFleet   = "/v1/fleet/"
	PathRuntime = "/v1/runtime/"
)

// PathHealth answers GET and HEAD, without authentication.
const PathHealth = "/health"

// Routes of the Control API (flwr command to SuperLink) that Rhizome serves.
const (
	PathStartRun          = PathControl + "start-run"
	PathListRuns          = PathControl + "list-runs"
	PathStopRun           = PathControl + "stop-run"
	PathStreamLogs        = PathControl + "stream-logs"
	PathPullArtifacts     = PathControl + "pull-artifacts"
	PathRegisterNode      = PathControl + "register-node"
	PathUnregisterNode    = PathControl + "unregister-node"
	PathListNodes         = PathControl + "list-nodes"
	PathListFederations   = PathControl + "list-federations"
	PathShowFederation    = PathControl + "show-federation"
	PathGetLoginDetails   = PathControl + "get-login-details"
	PathGetAuthTokens     = PathControl + "get-auth-tokens"
	PathRefreshAuthTokens = PathControl + "refresh-auth-tokens"
)

// Routes of the Fleet API (stock SuperNode to SuperLink).
const (
	PathFleetRegisterNode           = PathFleet + "register-node"
	PathFleetActivateNode           = PathFleet + "activate-node"
	PathFleetDeactivateNode         = PathFleet + "deactivate-node"
	PathFleetUnregisterNode         = PathFleet + "unregister-node"
	PathFleetSendNodeHeartbeat      = PathFleet + "send-node-heartbeat"
	PathFleetPullMessages           = PathFleet + "pull-messages"
	PathFleetPushMessages           = PathFleet + "push-messages"
	PathFleetGetRun                 = PathFleet + "get-run"
	PathFleetGetFAB                 = PathFleet + "get-fab"
	PathFleetPushObject             = PathFleet + "push-object"
	PathFleetPullObject             = PathFleet + "pull-object"
	PathFleetConfirmMessageReceived = PathFleet + "confirm-message-received"
)

// Routes of the Runtime API (SuperExec and apps to their host) that Rhizome serves.
const (
	PathAcquireTask            = PathRuntime + "acquire-task"
	PathSendTaskHeartbeat      = PathRuntime + "send-task-heartbeat"
	PathPullTaskInput          = PathRuntime + "pull-task-input"
	PathPushTaskOutput         = PathRuntime + "push-task-output"
	PathPushMessages           = PathRuntime + "push-messages"
	PathPullMessages           = PathRuntime + "pull-messages"
	PathPushObject             = PathRuntime + "push-object"
	PathPullObject             = PathRuntime + "pull-object"
	PathConfirmMessageReceived = PathRuntime + "confirm-message-received"
	PathGetNodes               = PathRuntime + "get-nodes"
	PathPushLogs               = PathRuntime + "push-logs"
)

// UnsupportedControl lists the routes of the Control API for federation management, Flower Hub,
// agents, automations and simulation; they answer 501 with code 1, as a stock SuperLink
// without these features does.
func UnsupportedControl() []string {
	return prefixed(PathControl,
		"accept-invitation", "add-app", "add-node-to-federation", "archive-federation", "begin-connector-oauth",
		"complete-connector-oauth", "configure-simulation-federation", "create-federation", "create-invitation",
		"disconnect-connector", "get-run-series", "list-app-associations", "list-apps", "list-automations",
		"list-connectors", "list-invitations", "list-run-series", "list-run-series-events", "reject-invitation",
		"remove-account-from-federation", "remove-app", "remove-node-from-federation", "revoke-invitation",
		"set-federation-icon", "start-automation", "stop-automation", "stream-run-events", "update-run-series-description",
	)
}

// UnsupportedRuntime lists the routes of the Runtime API for agents, models and connectors;
// they answer 501 with code 1.
func UnsupportedRuntime() []string {
	return prefixed(PathRuntime,
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
