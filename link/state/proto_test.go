package state

import (
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestISOTime(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, ""},
		{time.Date(2026, 11, 24, 8, 13, 52, 610469999, time.UTC), "2026-11-24T08:13:52.610469+00:00"},
		{time.Date(2026, 1, 2, 1, 0, 0, 0, zone), "2026-01-01T23:00:00.000000+00:00"},
	} {
		if got := ISOTime(c.at); got != c.want {
			t.Errorf("ISOTime(%v) = %q, want %q", c.at, got, c.want)
		}
	}
}

func TestRunProto(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := Run{ID: 1 << 63, SeriesID: 5, AccountID: AccountNone, BytesSent: 1, BytesReceived: 2, ClientAppRuntime: 1500 * time.Millisecond,
		PrimaryTask: task.Task{ID: 9, Type: task.TypeServerApp, Status: task.Finished, SubStatus: task.Failed, Details: "why", PendingAt: at}}.Proto()
	if p.GetRunId() != 1<<63 || p.GetSeriesId() != 5 || p.GetPrimaryTaskId() != 9 || p.GetPrimaryTaskType() != task.TypeServerApp ||
		p.GetBytesSent() != 1 || p.GetBytesRecv() != 2 || p.GetClientappRuntime() != 1.5 || p.GetAccountName() != "none" {
		t.Errorf("run: %v", p)
	}
	if s := p.GetStatus(); s.GetStatus() != "finished" || s.GetSubStatus() != "failed" || s.GetDetails() != "why" {
		t.Errorf("status: %v", s)
	}
	if p.GetPendingAt() != ISOTime(at) || p.GetFinishedAt() != "" {
		t.Errorf("times: %q, %q", p.GetPendingAt(), p.GetFinishedAt())
	}
}

func TestNodeProto(t *testing.T) {
	bare := Node{ID: 7, Status: NodeRegistered}.Proto()
	if bare.OnlineUntil != nil || bare.Name != nil || bare.Location != nil || bare.LastActivatedAt != nil {
		t.Errorf("a field that is not known was set: %v", bare)
	}
	full := Node{ID: 7, Name: "n", Location: "l", OnlineUntil: time.UnixMicro(1_500_000), HeartbeatInterval: 30 * time.Second,
		PublicKey: []byte("pem"), OwnerID: "someone"}.Proto()
	if full.GetOnlineUntil() != 1.5 || full.GetName() != "n" || full.GetLocation() != "l" || full.GetHeartbeatInterval() != 30 ||
		string(full.GetPublicKey()) != "pem" || full.GetOwnerName() != "someone" {
		t.Errorf("node: %v", full)
	}
}
