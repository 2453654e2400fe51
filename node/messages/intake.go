package messages

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/cenkalti/backoff/v5"
	logging "github.com/ipfs/go-log/v2"

	"github.com/rhizome-fl/rhizome/node/appconfig"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/fab"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

var log = logging.Logger("node/messages")

// ErrBusy says that too much is under way; the message may be offered again.
var ErrBusy = errors.New("too many messages are being fetched")

// Want is what a fetch must bring to the object store.
type Want struct {
	RunID uint64
	IDs   []string
	// Offered: other nodes may have been offered them too.
	Offered bool
}

// Config is what an Intake works with.
type Config struct {
	Store   *state.Store
	Objects objects.Store
	// Fetch brings objects; it returns nil only when all are in Objects.
	Fetch func(ctx context.Context, w Want) error
	// Shared is told which objects of an offer go to other nodes too. It must not block.
	// Optional.
	Shared func(runID uint64, ids []string)
	// Trusted says whose apps may run; empty for all.
	Trusted policy.Entities
	// Done is told how each started message ended: nil when it was accepted. It must not block.
	Done func(messageID string, err error)
}

// Intake takes messages in. Its methods may be called concurrently.
type Intake struct {
	cfg   Config
	ctx   context.Context
	stop  context.CancelFunc
	slots chan struct{} // one token for each message being fetched

	mu   sync.Mutex
	jobs map[string]*job // by message id, or by run for prefetches
}

// job is one message, or one bundle, on its way in.
type job struct {
	runID  uint64
	cancel context.CancelFunc
	done   chan struct{}
}

// New makes an Intake. The caller must Close it.
func New(cfg Config) *Intake {
	ctx, stop := context.WithCancel(context.Background())
	return &Intake{cfg: cfg, ctx: ctx, stop: stop, slots: make(chan struct{}, maxFetching), jobs: make(map[string]*job)}
}

// Close ends all fetches and waits for them. What arrived is kept for later.
func (in *Intake) Close() {
	in.stop()
	in.wait(func(*job) bool { return true })
}

// Start takes an offered message in; the end is told to Config.Done. A message that is
// under way already is left alone.
func (in *Intake) Start(o *sessionpb.Offer) {
	offer, run, shared, err := parse(o)
	if err != nil {
		in.cfg.Done(MessageID(o), err)
		return
	}
	if in.cfg.Shared != nil {
		in.cfg.Shared(offer.Run.ID, shared)
	}
	started := in.begin(offer.MessageID, offer.Run.ID, func(ctx context.Context) error {
		return in.take(ctx, offer, run)
	}, func(err error) { in.cfg.Done(offer.MessageID, err) })
	if !started {
		in.cfg.Done(offer.MessageID, ErrBusy)
	}
}

// Prefetch fetches the bundle of a run that was announced. It is a hint: failures are only logged.
func (in *Intake) Prefetch(runID, seriesID uint64, fabHash string) {
	in.begin(fmt.Sprintf("run %d", runID), runID, func(ctx context.Context) error {
		err := in.cfg.Store.AnnounceRun(ctx, state.Run{ID: runID, SeriesID: seriesID, FABHash: fabHash})
		if err != nil {
			return err
		}
		return in.fetch(ctx, Want{RunID: runID, IDs: []string{fabHash}})
	}, func(err error) {
		if err != nil {
			log.Infow("app bundle was not fetched ahead", "run", runID, "err", err)
		}
	})
}

// CancelRun ends all fetches of a run and waits for them.
func (in *Intake) CancelRun(runID uint64) {
	in.wait(func(j *job) bool { return j.runID == runID })
}

// Fetch brings objects of a run that should be on disk but are not. It blocks.
func (in *Intake) Fetch(ctx context.Context, runID uint64, ids ...string) error {
	return in.fetch(ctx, Want{RunID: runID, IDs: ids})
}

// begin runs work as a job, unless there is one of this name, and then tells its end; by
// then the name is free again. It returns false when there are too many.
func (in *Intake) begin(name string, runID uint64, work func(context.Context) error, end func(error)) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, dup := in.jobs[name]; dup || in.ctx.Err() != nil {
		return true
	}
	if len(in.jobs) >= maxJobs {
		return false
	}
	ctx, cancel := context.WithCancel(in.ctx)
	j := &job{runID: runID, cancel: cancel, done: make(chan struct{})}
	in.jobs[name] = j
	go func() {
		defer close(j.done)
		defer cancel()
		err := work(ctx)
		in.mu.Lock()
		delete(in.jobs, name)
		in.mu.Unlock()
		end(err)
	}()
	return true
}

// wait cancels the jobs that match and waits for their end.
func (in *Intake) wait(match func(*job) bool) {
	in.mu.Lock()
	var waiting []*job
	for _, j := range in.jobs {
		if match(j) {
			j.cancel()
			waiting = append(waiting, j)
		}
	}
	in.mu.Unlock()
	for _, j := range waiting {
		<-j.done
	}
}

// take brings one message from offered to accepted.
func (in *Intake) take(ctx context.Context, offer state.Offer, run *flwrpb.Run) error {
	select {
	case in.slots <- struct{}{}:
		defer func() { <-in.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	now, err := in.cfg.Store.AddOffer(ctx, offer)
	if err != nil {
		return err
	}
	if now != state.Offered {
		return nil // accepted before: the SuperLink did not hear of it
	}
	ids := append([]string{offer.Run.FABHash}, offer.ObjectIDs...)
	if err := in.fetch(ctx, Want{RunID: offer.Run.ID, IDs: ids, Offered: true}); err != nil {
		return err
	}
	err = in.check(ctx, offer.Run, run)
	switch {
	case errors.Is(err, policy.ErrNotTrusted):
		log.Warnw("app is not trusted here", "run", offer.Run.ID, "message", offer.MessageID, "err", err)
		return in.cfg.Store.Reject(ctx, offer.MessageID, flwr.ErrorInvalidFAB, policy.Reason)
	case errors.Is(err, fab.ErrInvalid):
		log.Warnw("app bundle is broken", "run", offer.Run.ID, "message", offer.MessageID, "err", err)
		return in.cfg.Store.Reject(ctx, offer.MessageID, flwr.ErrorInvalidFAB, err.Error())
	case err != nil:
		return err
	}
	return in.cfg.Store.Accept(ctx, offer.MessageID)
}

// check decides whether the app of a run may run here, and prepares its configuration.
func (in *Intake) check(ctx context.Context, known state.Run, run *flwrpb.Run) error {
	var digest [32]byte
	if _, err := hex.Decode(digest[:], []byte(known.FABHash)); err != nil {
		return fmt.Errorf("bundle hash: %w", err)
	}
	if err := in.cfg.Trusted.Verify(digest, known.Verifications); err != nil {
		return err
	}
	stored, err := in.cfg.Store.Run(ctx, known.ID)
	if err != nil {
		return err
	}
	if stored.Config != nil {
		return nil
	}
	bundle, err := in.cfg.Objects.Open(known.FABHash)
	if err != nil {
		return fmt.Errorf("open app bundle of run %d: %w", known.ID, err)
	}
	defer bundle.Close()
	defaults, err := appconfig.Defaults(bundle, bundle.Size())
	if err != nil {
		return fmt.Errorf("app bundle of run %d: %w", known.ID, err)
	}
	return in.cfg.Store.SetRunConfig(ctx, known.ID, appconfig.Fuse(defaults, run.GetOverrideConfig()))
}

// fetch brings what is missing, trying again after failures.
func (in *Intake) fetch(ctx context.Context, w Want) error {
	all := w.IDs
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, maxPause
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		w.IDs = in.cfg.Store.Missing(all)
		if len(w.IDs) == 0 {
			return struct{}{}, nil
		}
		err := in.cfg.Fetch(ctx, w)
		if objects.Permanent(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pause), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return fmt.Errorf("fetch %d objects of run %d: %w", len(w.IDs), w.RunID, err)
	}
	return nil
}
