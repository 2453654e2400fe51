package messages

import (
	"context"
	"sync"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

var log = logs.For("node/messages")

// Link is where the office reports what became of an offer. Its methods must not block, and
// may be called at any time: an acceptance that no session carries to the SuperLink is in
// the inventory of the next session, and whatever was declined is offered again.
type Link interface {
	// Accept says that the message and everything that belongs to it is on disk.
	Accept(messageID string)
	// Decline says that the message was not taken in. If the reason is permanent, it will apply
	// whenever the message is offered again.
	Decline(messageID string, why error, permanent bool)
}

// Want is what a fetch must bring to the object store.
type Want struct {
	RunID uint64
	IDs   []string
	// Offered says that the objects may have been offered to other nodes too.
	Offered bool
}

// Config is what an Office works with.
type Config struct {
	Store   *state.Store
	Objects objects.Store
	// Link is told what became of offers.
	Link Link
	// Fetch brings objects; it returns nil only if all are in Objects.
	Fetch func(ctx context.Context, w Want) error
	// Shared is told which objects of an offer also go to other nodes. It must not block.
	// Optional.
	Shared func(runID uint64, ids []string)
	// Slots is how many messages may be leased at the same time.
	Slots int
	// Policy says which apps may run on this node.
	Policy policy.Policy
}

// Office is what all messages of a node pass through. Its methods may be called concurrently.
type Office struct {
	cfg   Config
	ctx   context.Context
	stop  context.CancelFunc
	slots chan struct{} // one token for each message being fetched

	mu   sync.Mutex
	jobs map[string]*job // by message id, or by run for prefetches
}

// New makes an Office. The caller must Close it.
func New(cfg Config) *Office {
	ctx, stop := context.WithCancel(context.Background())
	return &Office{cfg: cfg, ctx: ctx, stop: stop, slots: make(chan struct{}, maxFetching), jobs: make(map[string]*job)}
}

// Close ends all fetches and waits for them. What has arrived is kept for later.
func (o *Office) Close() {
	o.stop()
	o.endJobs(func(*job) bool { return true })
}

// Inventory returns what the node tells the SuperLink about itself when a session begins.
func (o *Office) Inventory(ctx context.Context) (state.Inventory, error) {
	return o.cfg.Store.Inventory(ctx)
}

// DropRun ends everything of a run, and returns how many of its messages were unanswered.
// The order matters: nothing may come in after the drop.
func (o *Office) DropRun(ctx context.Context, runID uint64) (unanswered int, err error) {
	o.endFetches(runID)
	return o.cfg.Store.DropRun(ctx, runID)
}

// DropIdleRun ends the fetches of a run that has reportedly ended, and forgets the run if
// nothing is under way for it: the session alone settles what the node owes a run.
func (o *Office) DropIdleRun(ctx context.Context, runID uint64) error {
	o.endFetches(runID)
	return o.cfg.Store.DropIdleRun(ctx, runID)
}

func (o *Office) endFetches(runID uint64) {
	o.endJobs(func(j *job) bool { return j.runID == runID })
}
