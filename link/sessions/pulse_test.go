package sessions

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// listened is a session that only the pulse knows.
func listened(p *pulse) (ps *peerSession, ctx context.Context) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ps = &peerSession{server: &Server{cfg: Config{Heartbeat: p.beat}}, outbox: newOutbox(), cancel: cancel}
	ps.hear()
	p.add(ps)
	return ps, ctx
}

func (ps *peerSession) hear() {
	ps.heard.Store(time.Now().UnixNano())
	ps.said.Store(ps.heard.Load())
}

// asked reports whether the node would be sent a Ping now.
func (ps *peerSession) asked() bool { return len(ps.outbox.take()) > 0 }

func pulsing(t *testing.T) *pulse {
	p := newPulse(DefaultHeartbeat)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return p
}

func TestPulseAsksTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pulsing(t)
		first, _ := listened(p)
		<-time.After(time.Second)
		second, _ := listened(p)
		for round := range 3 {
			<-time.After(DefaultHeartbeat - time.Second)
			synctest.Wait()
			if !first.asked() || !second.asked() {
				t.Fatalf("round %d: not both sessions were asked", round)
			}
			<-time.After(time.Second)
			synctest.Wait()
			if first.asked() || second.asked() {
				t.Fatalf("round %d: a session was asked between two beats", round)
			}
			first.hear()
			second.hear()
		}
	})
}

func TestPulseLeavesTheTalkativeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pulsing(t)
		ps, ctx := listened(p)
		for range 20 {
			<-time.After(time.Second)
			ps.hear()
		}
		if ps.asked() || ctx.Err() != nil {
			t.Error("a node that says something each second was asked for a sign of life")
		}
		p.remove(ps)
		<-time.After(time.Hour)
		if ps.asked() || ctx.Err() != nil {
			t.Error("a session was looked at after it was removed")
		}
	})
}

// However many sessions there are, all are looked at in each beat.
func TestPulseGivesUpTheSilent(t *testing.T) {
	for name, others := range map[string]int{"alone": 0, "among many": 3 * lookBatch} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pulsing(t)
				for range others {
					listened(p)
				}
				_, ctx := listened(p)
				began := time.Now()
				<-ctx.Done()
				took := time.Since(began)
				if took < silentBeats*p.beat || took > (silentBeats+1)*p.beat {
					t.Errorf("given up after %v", took)
				}
				var quiet silent
				if !errors.As(context.Cause(ctx), &quiet) || !quiet.since.Equal(began) {
					t.Errorf("cause: %v, since %v", context.Cause(ctx), quiet.since)
				}
			})
		})
	}
}
