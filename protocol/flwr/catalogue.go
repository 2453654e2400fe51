package flwr

import "net/http"

// Code numbers an error for clients; people see the public text.
type Code int

// The codes that Rhizome answers with. The catalogue below has them all.
const (
	CodeFederationUnsupported    Code = 1
	CodeFederationNotFound       Code = 2
	CodeCreateRunFailed          Code = 14
	CodeInvalidRunConfig         Code = 15
	CodeRunIDNotFound            Code = 16
	CodeSeriesNotFound           Code = 17
	CodeRunFinished              Code = 18
	CodeNoAccountAuth            Code = 19
	CodeNoArtifactProvider       Code = 20
	CodeInvalidPublicKey         Code = 22
	CodePublicKeyInUse           Code = 23
	CodeNodeNotFound             Code = 24
	CodeUnsupportedHubTransport  Code = 32
	CodeInvalidAppSpec           Code = 33
	CodeBearerFailed             Code = 36
	CodeUserPromptRequired       Code = 44
	CodeInvalidLocation          Code = 45
	CodeIncompatibleVersion      Code = 1001
	CodeUnsupportedContentType   Code = 1002
	CodeInvalidPayload           Code = 1003
	CodeStateNotReady            Code = 1005
	CodeAuthenticationFailed     Code = 1008
	CodeNodeAuthEnabledRegister  Code = 2001
	CodeNodeAuthEnabledUnreg     Code = 2002
	CodeInvalidHeartbeatInterval Code = 2003
	CodeActivateNodeFailed       Code = 2004
	CodeDeactivateNodeFailed     Code = 2005
	CodeUnregisterNodeFailed     Code = 2006
	CodeRunStatusForbids         Code = 2007
	CodeGetRunFailed             Code = 2008
	CodeGetFABFailed             Code = 2009
	CodeStartTaskFailed          Code = 3002
	CodeUnexpectedNodeID         Code = 3004
	CodeEndpointUnavailable      Code = 3005
	CodeSeriesContextNotFound    Code = 3011
	CodeFABNotFound              Code = 3012
	CodeInvalidMessageCount      Code = 3013
	CodeMessageRunIDMismatch     Code = 3014
)

type entry struct {
	status int
	detail string
}

// catalogue is Flower's list of errors: code, HTTP status, public text.
var catalogue = map[Code]entry{
	1:    {http.StatusNotImplemented, "SuperLink does not support federation management."},
	2:    {http.StatusNotFound, "Federation not found, archived, or you cannot perform this action."},
	3:    {http.StatusPreconditionFailed, "Account is already a member of the federation."},
	4:    {http.StatusConflict, "Federation already exists or it has been archived."},
	5:    {http.StatusConflict, "A pending invitation already exists for this account in the federation."},
	6:    {http.StatusNotFound, "One or more specified accounts were not found."},
	7:    {http.StatusNotFound, "Federation does not exist, has been archived, or no pending invitation was found."},
	8:    {http.StatusPreconditionFailed, "Account is not a member of the federation."},
	9:    {http.StatusForbidden, "You do not have permission to perform this action."},
	10:   {http.StatusPreconditionFailed, "This action cannot be performed."},
	11:   {http.StatusPreconditionFailed, "The SuperNode is already part of the federation."},
	12:   {http.StatusPreconditionFailed, "No federation specified. You must specify a federation to perform this action."},
	13:   {http.StatusForbidden, "Entitlement error."},
	14:   {http.StatusInternalServerError, "Failed to create or initialize the run."},
	15:   {http.StatusPreconditionFailed, "Invalid run configuration."},
	16:   {http.StatusNotFound, "Run ID not found."},
	17:   {http.StatusNotFound, "Run series ID not found."},
	18:   {http.StatusPreconditionFailed, "Run is already finished."},
	19:   {http.StatusNotImplemented, "ControlServicer initialized without account authentication."},
	20:   {http.StatusNotImplemented, "ControlServicer initialized without artifact provider."},
	21:   {http.StatusPreconditionFailed, "Cannot pull artifacts for an unfinished run."},
	22:   {http.StatusPreconditionFailed, "The provided public key is not valid."},
	23:   {http.StatusPreconditionFailed, "Public key already in use."},
	24:   {http.StatusNotFound, "Node ID not found for account."},
	25:   {http.StatusPreconditionFailed, "Federation does not exist."},
	26:   {http.StatusPreconditionFailed, "Federation does not exist or you are not a member of it."},
	27:   {http.StatusPreconditionFailed, "Invalid federation name."},
	28:   {http.StatusPreconditionFailed, "Node not found or you are not its owner."},
	29:   {http.StatusForbidden, "Failed to fetch the account information."},
	30:   {http.StatusForbidden, "Run is not associated with an account."},
	31:   {http.StatusForbidden, "Run ID does not belong to the account."},
	32:   {http.StatusPreconditionFailed, "transport type not supported for Flower Hub"},
	33:   {http.StatusPreconditionFailed, "Invalid app specification."},
	34:   {http.StatusPreconditionFailed, "Failed to request FAB download link."},
	35:   {http.StatusPreconditionFailed, "FAB download failed."},
	36:   {http.StatusUnauthorized, "Authentication failed."},
	37:   {http.StatusServiceUnavailable, "Authentication is not initialized."},
	38:   {http.StatusBadRequest, "Invalid connector request."},
	39:   {http.StatusNotFound, "Connector not found."},
	40:   {http.StatusInternalServerError, "Connector failure."},
	41:   {http.StatusForbidden, "License check failed."},
	42:   {http.StatusBadRequest, "Invalid automation request."},
	43:   {http.StatusBadRequest, "Invalid run series description."},
	44:   {http.StatusBadRequest, "A user prompt is required to start an AgentApp run."},
	45:   {http.StatusBadRequest, "Invalid SuperNode location."},
	1001: {http.StatusPreconditionFailed, "Runtime version compatibility check failed."},
	1002: {http.StatusUnsupportedMediaType, "Unsupported Content-Type."},
	1003: {http.StatusBadRequest, "Invalid protobuf payload."},
	1004: {http.StatusInternalServerError, "Invalid response returned from handler."},
	1005: {http.StatusServiceUnavailable, "LinkState is not initialized."},
	1006: {http.StatusInternalServerError, "Invalid protobuf request."},
	1007: {http.StatusInternalServerError, "Invalid protobuf response."},
	1008: {http.StatusUnauthorized, "Authentication failed."},
	1009: {http.StatusServiceUnavailable, "NodeState is not initialized."},
	1010: {http.StatusServiceUnavailable, "Fleet API type is not initialized."},
	2001: {http.StatusPreconditionFailed, "SuperNode authentication is enabled. All SuperNodes must be registered via the CLI."},
	2002: {http.StatusPreconditionFailed, "SuperNode authentication is enabled. All SuperNodes must be unregistered via the CLI."},
	2003: {http.StatusBadRequest, "Invalid heartbeat interval."},
	2004: {http.StatusPreconditionFailed, "Failed to activate SuperNode."},
	2005: {http.StatusPreconditionFailed, "Failed to deactivate SuperNode."},
	2006: {http.StatusPreconditionFailed, "Failed to unregister SuperNode."},
	2007: {http.StatusForbidden, "The current run status does not allow this Fleet API operation."},
	2008: {http.StatusForbidden, "Failed to get run."},
	2009: {http.StatusForbidden, "Failed to get FAB."},
	3001: {http.StatusForbidden, "Connector credentials are not available to this task."},
	3002: {http.StatusPreconditionFailed, "Failed to start task."},
	3003: {http.StatusForbidden, "Only AgentApp and ServerApp tasks can create automations."},
	3004: {http.StatusPreconditionFailed, "Unexpected node ID."},
	3005: {http.StatusForbidden, "Some Runtime API endpoints are only available for Deployment Runtime runs."},
	3006: {http.StatusInternalServerError, "Failed to create task."},
	3007: {http.StatusForbidden, "Task creation is not allowed."},
	3008: {http.StatusPreconditionFailed, "Invalid task creation request."},
	3009: {http.StatusPreconditionFailed, "Invalid task message."},
	3010: {http.StatusForbidden, "Connector is not available to this run."},
	3011: {http.StatusNotFound, "Run series context not found."},
	3012: {http.StatusNotFound, "FAB not found."},
	3013: {http.StatusBadRequest, "Invalid number of messages or message object trees."},
	3014: {http.StatusForbidden, "Message run ID does not match the authenticated task."},
	3015: {http.StatusBadRequest, "Invalid compacted context request."},
	3016: {http.StatusConflict, "Compacted context already exists for this event in the series."},
}
