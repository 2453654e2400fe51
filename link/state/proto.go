package state

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// ISOTime is the format of all time strings of Flower's APIs; its clients parse them with
// datetime.fromisoformat. The zero time is the empty string.
func ISOTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000-07:00")
}

func runProto(r Run) *flwrpb.Run {
	return &flwrpb.Run{
		RunId:            r.ID,
		SeriesId:         r.SeriesID,
		FabId:            r.FABID,
		FabVersion:       r.FABVersion,
		FabHash:          r.FABHash,
		OverrideConfig:   r.OverrideConfig,
		PendingAt:        ISOTime(r.PrimaryTask.PendingAt),
		StartingAt:       ISOTime(r.PrimaryTask.StartingAt),
		RunningAt:        ISOTime(r.PrimaryTask.RunningAt),
		FinishedAt:       ISOTime(r.PrimaryTask.FinishedAt),
		Status:           statusProto(r.PrimaryTask),
		FlwrAid:          r.AccountID,
		AccountName:      accountName(r.AccountID),
		Federation:       r.Federation,
		BytesSent:        r.BytesSent,
		BytesRecv:        r.BytesReceived,
		ClientappRuntime: r.ClientAppRuntime.Seconds(),
		PrimaryTaskType:  r.PrimaryTask.Type,
		PrimaryTaskId:    proto.Uint64(r.PrimaryTask.ID),
	}
}

func statusProto(t task.Task) *flwrpb.RunStatus {
	return &flwrpb.RunStatus{Status: string(t.Status), SubStatus: string(t.SubStatus), Details: t.Details}
}

func nodeProto(n Node) *flwrpb.NodeInfo {
	info := &flwrpb.NodeInfo{
		NodeId:            n.ID,
		OwnerAid:          n.OwnerID,
		OwnerName:         accountName(n.OwnerID),
		Status:            string(n.Status),
		RegisteredAt:      ISOTime(n.RegisteredAt),
		LastActivatedAt:   optionalTime(n.LastActivatedAt),
		LastDeactivatedAt: optionalTime(n.LastDeactivatedAt),
		UnregisteredAt:    optionalTime(n.UnregisteredAt),
		HeartbeatInterval: n.HeartbeatInterval.Seconds(),
		PublicKey:         n.PublicKey,
	}
	if !n.OnlineUntil.IsZero() {
		info.OnlineUntil = proto.Float64(float64(n.OnlineUntil.UnixMicro()) / 1e6)
	}
	if n.Name != "" {
		info.Name = proto.String(n.Name)
	}
	if n.Location != "" {
		info.Location = proto.String(n.Location)
	}
	return info
}

func optionalTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return proto.String(ISOTime(t))
}

// accountName is the name of an account id; without user authentication there is one account,
// "<id:none>", whose name is "none".
func accountName(id string) string {
	if id == "" || id == AccountNone {
		return "none"
	}
	return id
}

// These are what Flower uses when there is no user authentication.
const (
	AccountNone       = "<id:none>"
	FederationDefault = "@none/default"
)
