package node_test

import (
	"bytes"
	"testing"

	"github.com/rhizome-fl/rhizome/node"
	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// A hostile SuperLink offers a signed app and withholds an object of its message, offers
// another app for the same run, and releases the object: what runs is the signed app.
func TestAnotherAppForTheSameRun(t *testing.T) {
	link, signer := newLink(t), nodetest.NewSigner(t, "fpk_1")
	cfg := config(t, t.TempDir())
	cfg.Join, cfg.TrustedEntities = link.ticket(nil), signer.File(t)
	n := start(t, cfg)
	s := link.session()

	good := nodetest.NewRun(t, 7)
	good.Verifications = signer.Sign(t, good.FABHash)
	first := good.Instruction(t, 1, "model")
	evil := nodetest.NewRunOf(t, 7, good.SeriesID, "# not signed\n")
	second := evil.Instruction(t, 2, "model of the other app")
	link.serve(good)
	link.serve(evil)
	release := link.withhold(first.Objects[0])
	defer release()

	s.write(&sessionpb.Frame{Body: &sessionpb.Frame_Offer{Offer: first.Offer}})
	n.await(func(node.Status) bool { return link.wasAsked(first.Objects[0]) })
	s.write(&sessionpb.Frame{Body: &sessionpb.Frame_Offer{Offer: second.Offer}})
	if accepted, declined := s.verdict(second); accepted || !declined.GetPermanent() {
		t.Errorf("an offer of another app for the same run: accepted %v, declined %v", accepted, declined)
	}
	release()
	if accepted, declined := s.verdict(first); !accepted {
		t.Fatalf("the signed app was declined: %v", declined)
	}
	a := acquire(t, n.RuntimeAddress())
	var in flwrpb.PullTaskInputResponse
	a.call("pull-task-input", &flwrpb.PullTaskInputRequest{}, &in)
	if in.GetFab().GetHashStr() != good.FABHash || in.GetRun().GetFabHash() != good.FABHash ||
		!bytes.Equal(in.GetFab().GetContent(), good.Objects[good.FABHash]) {
		t.Errorf("an app that nobody trusted signed was handed out: bundle %s of run %v", in.GetFab().GetHashStr(), in.GetRun())
	}
}

// Messages that a node accepted before it was given trusted entities are decided about again.
func TestQueuedBeforeTrust(t *testing.T) {
	link, signer := newLink(t), nodetest.NewSigner(t, "fpk_1")
	cfg := config(t, t.TempDir())
	cfg.Join = link.ticket(nil)
	n := start(t, cfg)
	s := link.session()
	unsigned, signed := nodetest.NewRun(t, 7), nodetest.NewRun(t, 8)
	signed.Verifications = signer.Sign(t, signed.FABHash)
	refused, allowed := unsigned.Instruction(t, 1, "model"), signed.Instruction(t, 2, "model")
	link.serve(unsigned)
	link.serve(signed)
	s.offer(refused)
	s.offer(allowed)
	_ = n.end()

	cfg.Join, cfg.TrustedEntities = "", signer.File(t)
	n = start(t, cfg)
	s = link.session()
	s.wantRefusal(refused)
	acquire(t, n.RuntimeAddress()).work(allowed, nodetest.Blobs{})
}

// The operator replaces the file of trusted entities: an app that waits, and one that was handed
// to an executor already, are refused if nobody on the new list has signed them.
func TestChangedEntities(t *testing.T) {
	link, old, other := newLink(t), nodetest.NewSigner(t, "fpk_1"), nodetest.NewSigner(t, "fpk_1")
	cfg := config(t, t.TempDir())
	cfg.Join, cfg.TrustedEntities = link.ticket(nil), old.File(t)
	n := start(t, cfg)
	s := link.session()
	run := nodetest.NewRun(t, 7)
	run.Verifications = old.Sign(t, run.FABHash)
	leased, waiting := run.Instruction(t, 1, "model"), run.Instruction(t, 2, "model")
	link.serve(run)
	s.offer(leased)
	s.offer(waiting)
	a := acquire(t, n.RuntimeAddress())
	_ = n.end()

	cfg.Join, cfg.TrustedEntities = "", other.File(t)
	n = start(t, cfg)
	s = link.session()
	s.wantRefusal(leased)
	s.wantRefusal(waiting)
	if status := a.call("pull-task-input", &flwrpb.PullTaskInputRequest{}, nil); status == 200 {
		t.Error("a refused app was handed out to an executor of before the start")
	}
	n.await(func(s node.Status) bool {
		return len(s.Runs) == 1 && s.Runs[0].Unsent == 2 && s.Runs[0].Queued+s.Runs[0].Working == 0
	})
}
