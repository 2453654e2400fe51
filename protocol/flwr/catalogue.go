package flwr

import "net/http"

// Code is a number by which clients of Flower recognise an error. The zero value means no code.
type Code int

// The codes of Flower's catalogue; [catalogue] says what they mean.
const (
	// Control API.
	CodeFederationManagement          Code = 1
	CodeFederationNotFound            Code = 2
	CodeAccountAlreadyMember          Code = 3
	CodeFederationExists              Code = 4
	CodeInvitationExists              Code = 5
	CodeAccountsNotFound              Code = 6
	CodeInvitationNotFound            Code = 7
	CodeAccountNotMember              Code = 8
	CodeNoPermission                  Code = 9
	CodeForbiddenAction               Code = 10
	CodeNodeInFederation              Code = 11
	CodeFederationNotSpecified        Code = 12
	CodeEntitlement                   Code = 13
	CodeCreateRunFailed               Code = 14
	CodeInvalidRunConfig              Code = 15
	CodeRunIDNotFound                 Code = 16
	CodeSeriesIDNotFound              Code = 17
	CodeRunFinished                   Code = 18
	CodeNoAccountAuth                 Code = 19
	CodeNoArtifactProvider            Code = 20
	CodePullUnfinishedRun             Code = 21
	CodeInvalidPublicKey              Code = 22
	CodePublicKeyInUse                Code = 23
	CodeNodeNotFound                  Code = 24
	CodeFederationUnknown             Code = 25
	CodeFederationNotMember           Code = 26
	CodeInvalidFederationName         Code = 27
	CodeNodeNotOwned                  Code = 28
	CodeAccountInfoNotFound           Code = 29
	CodeRunWithoutAccount             Code = 30
	CodeRunOfOtherAccount             Code = 31
	CodeHubTransport                  Code = 32
	CodeInvalidAppSpec                Code = 33
	CodeFABLinkFailed                 Code = 34
	CodeFABDownloadFailed             Code = 35
	CodeAccountAuthenticationFailed   Code = 36
	CodeAccountAuthenticationNotReady Code = 37
	CodeInvalidConnectorRequest       Code = 38
	CodeConnectorNotFound             Code = 39
	CodeConnectorFailed               Code = 40
	CodeLicenseCheckFailed            Code = 41
	CodeInvalidAutomation             Code = 42
	CodeInvalidSeriesDescription      Code = 43
	CodeUserPromptRequired            Code = 44
	CodeInvalidLocation               Code = 45

	// All APIs.
	CodeVersionIncompatible     Code = 1001
	CodeUnsupportedContentType  Code = 1002
	CodeInvalidProtobuf         Code = 1003
	CodeInvalidHandlerResponse  Code = 1004
	CodeLinkStateNotReady       Code = 1005
	CodeInvalidProtobufRequest  Code = 1006
	CodeInvalidProtobufResponse Code = 1007
	CodeAuthenticationFailed    Code = 1008
	CodeNodeStateNotReady       Code = 1009
	CodeFleetTypeNotReady       Code = 1010

	// Fleet API.
	CodeFleetRegistrationDisabled   Code = 2001
	CodeFleetUnregistrationDisabled Code = 2002
	CodeInvalidHeartbeatInterval    Code = 2003
	CodeActivateNodeFailed          Code = 2004
	CodeDeactivateNodeFailed        Code = 2005
	CodeUnregisterNodeFailed        Code = 2006
	CodeRunStatusNotAllowed         Code = 2007
	CodeGetRunFailed                Code = 2008
	CodeGetFABFailed                Code = 2009

	// Runtime API.
	CodeConnectorCredentials    Code = 3001
	CodeTaskStartFailed         Code = 3002
	CodeAutomationNotAllowed    Code = 3003
	CodeUnexpectedNodeID        Code = 3004
	CodeEndpointUnavailable     Code = 3005
	CodeTaskCreationFailed      Code = 3006
	CodeTaskCreationNotAllowed  Code = 3007
	CodeInvalidTaskCreation     Code = 3008
	CodeInvalidTaskMessage      Code = 3009
	CodeConnectorNotAvailable   Code = 3010
	CodeSeriesContextNotFound   Code = 3011
	CodeFABNotFound             Code = 3012
	CodeInvalidMessageCount     Code = 3013
	CodeMessageRunIDMismatch    Code = 3014
	CodeInvalidCompactedContext Code = 3015
	CodeCompactedContextExists  Code = 3016
)

// entry says how a code looks on the wire.
type entry struct {
	status int
	detail string
}

// catalogue has an entry for every Code above. The texts are part of the protocol: they are
// what the flwr command prints. Codes with status 500 are listed for completeness. Because of
// what a 500 does to a stock SuperNode, nothing here uses them except start-run, whose client
// is a person.
var catalogue = map[Code]entry{
	CodeFederationManagement:          {http.StatusNotImplemented, "SuperLink does not support federation management."},
	CodeFederationNotFound:            {http.StatusNotFound, "Federation not found, archived, or you cannot perform this action."},
	CodeAccountAlreadyMember:          {http.StatusPreconditionFailed, "Account is already a member of the federation."},
	CodeFederationExists:              {http.StatusConflict, "Federation already exists or it has been archived."},
	CodeInvitationExists:              {http.StatusConflict, "A pending invitation already exists for this account in the federation."},
	CodeAccountsNotFound:              {http.StatusNotFound, "One or more specified accounts were not found."},
	CodeInvitationNotFound:            {http.StatusNotFound, "Federation does not exist, has been archived, or no pending invitation was found."},
	CodeAccountNotMember:              {http.StatusPreconditionFailed, "Account is not a member of the federation."},
	CodeNoPermission:                  {http.StatusForbidden, "You do not have permission to perform this action."},
	CodeForbiddenAction:               {http.StatusPreconditionFailed, "This action cannot be performed."},
	CodeNodeInFederation:              {http.StatusPreconditionFailed, "The SuperNode is already part of the federation."},
	CodeFederationNotSpecified:        {http.StatusPreconditionFailed, "No federation specified. You must specify a federation to perform this action."},
	CodeEntitlement:                   {http.StatusForbidden, "Entitlement error."},
	CodeCreateRunFailed:               {http.StatusInternalServerError, "Failed to create or initialize the run."},
	CodeInvalidRunConfig:              {http.StatusPreconditionFailed, "Invalid run configuration."},
	CodeRunIDNotFound:                 {http.StatusNotFound, "Run ID not found."},
	CodeSeriesIDNotFound:              {http.StatusNotFound, "Run series ID not found."},
	CodeRunFinished:                   {http.StatusPreconditionFailed, "Run is already finished."},
	CodeNoAccountAuth:                 {http.StatusNotImplemented, "ControlServicer initialized without account authentication."},
	CodeNoArtifactProvider:            {http.StatusNotImplemented, "ControlServicer initialized without artifact provider."},
	CodePullUnfinishedRun:             {http.StatusPreconditionFailed, "Cannot pull artifacts for an unfinished run."},
	CodeInvalidPublicKey:              {http.StatusPreconditionFailed, "The provided public key is not valid."},
	CodePublicKeyInUse:                {http.StatusPreconditionFailed, "Public key already in use."},
	CodeNodeNotFound:                  {http.StatusNotFound, "Node ID not found for account."},
	CodeFederationUnknown:             {http.StatusPreconditionFailed, "Federation does not exist."},
	CodeFederationNotMember:           {http.StatusPreconditionFailed, "Federation does not exist or you are not a member of it."},
	CodeInvalidFederationName:         {http.StatusPreconditionFailed, "Invalid federation name."},
	CodeNodeNotOwned:                  {http.StatusPreconditionFailed, "Node not found or you are not its owner."},
	CodeAccountInfoNotFound:           {http.StatusForbidden, "Failed to fetch the account information."},
	CodeRunWithoutAccount:             {http.StatusForbidden, "Run is not associated with an account."},
	CodeRunOfOtherAccount:             {http.StatusForbidden, "Run ID does not belong to the account."},
	CodeHubTransport:                  {http.StatusPreconditionFailed, "The selected SuperLink transport type is not supported for connecting to Flower Hub."},
	CodeInvalidAppSpec:                {http.StatusPreconditionFailed, "Invalid app specification."},
	CodeFABLinkFailed:                 {http.StatusPreconditionFailed, "Failed to request FAB download link."},
	CodeFABDownloadFailed:             {http.StatusPreconditionFailed, "FAB download failed."},
	CodeAccountAuthenticationFailed:   {http.StatusUnauthorized, "Authentication failed."},
	CodeAccountAuthenticationNotReady: {http.StatusServiceUnavailable, "Authentication is not initialized."},
	CodeInvalidConnectorRequest:       {http.StatusBadRequest, "Invalid connector request."},
	CodeConnectorNotFound:             {http.StatusNotFound, "Connector not found."},
	CodeConnectorFailed:               {http.StatusInternalServerError, "Connector operation failed."},
	CodeLicenseCheckFailed:            {http.StatusForbidden, "License check failed. Please contact the SuperLink administrator."},
	CodeInvalidAutomation:             {http.StatusBadRequest, "Invalid automation request."},
	CodeInvalidSeriesDescription:      {http.StatusBadRequest, "Invalid run series description."},
	CodeUserPromptRequired:            {http.StatusBadRequest, "A user prompt is required to start an AgentApp run."},
	CodeInvalidLocation:               {http.StatusBadRequest, "Invalid SuperNode location."},

	CodeVersionIncompatible:     {http.StatusPreconditionFailed, "Runtime version compatibility check failed."},
	CodeUnsupportedContentType:  {http.StatusUnsupportedMediaType, "Unsupported Content-Type."},
	CodeInvalidProtobuf:         {http.StatusBadRequest, "Invalid protobuf payload."},
	CodeInvalidHandlerResponse:  {http.StatusInternalServerError, "Invalid response returned from handler."},
	CodeLinkStateNotReady:       {http.StatusServiceUnavailable, "LinkState is not initialized."},
	CodeInvalidProtobufRequest:  {http.StatusInternalServerError, "Invalid protobuf request."},
	CodeInvalidProtobufResponse: {http.StatusInternalServerError, "Invalid protobuf response."},
	CodeAuthenticationFailed:    {http.StatusUnauthorized, "Authentication failed."},
	CodeNodeStateNotReady:       {http.StatusServiceUnavailable, "NodeState is not initialized."},
	CodeFleetTypeNotReady:       {http.StatusServiceUnavailable, "Fleet API type is not initialized."},

	CodeFleetRegistrationDisabled:   {http.StatusPreconditionFailed, "SuperNode authentication is enabled. All SuperNodes must be registered via the CLI."},
	CodeFleetUnregistrationDisabled: {http.StatusPreconditionFailed, "SuperNode authentication is enabled. All SuperNodes must be unregistered via the CLI."},
	CodeInvalidHeartbeatInterval:    {http.StatusBadRequest, "Invalid heartbeat interval."},
	CodeActivateNodeFailed:          {http.StatusPreconditionFailed, "Failed to activate SuperNode."},
	CodeDeactivateNodeFailed:        {http.StatusPreconditionFailed, "Failed to deactivate SuperNode."},
	CodeUnregisterNodeFailed:        {http.StatusPreconditionFailed, "Failed to unregister SuperNode."},
	CodeRunStatusNotAllowed:         {http.StatusForbidden, "The current run status does not allow this Fleet API operation."},
	CodeGetRunFailed:                {http.StatusForbidden, "Failed to get run."},
	CodeGetFABFailed:                {http.StatusForbidden, "Failed to get FAB."},

	CodeConnectorCredentials:    {http.StatusForbidden, "Connector credentials are not available to this task."},
	CodeTaskStartFailed:         {http.StatusPreconditionFailed, "Failed to start task."},
	CodeAutomationNotAllowed:    {http.StatusForbidden, "Only AgentApp and ServerApp tasks can create automations."},
	CodeUnexpectedNodeID:        {http.StatusPreconditionFailed, "Unexpected node ID."},
	CodeEndpointUnavailable:     {http.StatusForbidden, "Some Runtime API endpoints are only available for Deployment Runtime runs."},
	CodeTaskCreationFailed:      {http.StatusInternalServerError, "Failed to create task."},
	CodeTaskCreationNotAllowed:  {http.StatusForbidden, "Task creation is not allowed."},
	CodeInvalidTaskCreation:     {http.StatusPreconditionFailed, "Invalid task creation request."},
	CodeInvalidTaskMessage:      {http.StatusPreconditionFailed, "Invalid task message."},
	CodeConnectorNotAvailable:   {http.StatusForbidden, "Connector is not available to this run."},
	CodeSeriesContextNotFound:   {http.StatusNotFound, "Run series context not found."},
	CodeFABNotFound:             {http.StatusNotFound, "FAB not found."},
	CodeInvalidMessageCount:     {http.StatusBadRequest, "Invalid number of messages or message object trees."},
	CodeMessageRunIDMismatch:    {http.StatusForbidden, "Message run ID does not match the authenticated task."},
	CodeInvalidCompactedContext: {http.StatusBadRequest, "Invalid compacted context request."},
	CodeCompactedContextExists:  {http.StatusConflict, "Compacted context already exists for this event in the series."},
}
