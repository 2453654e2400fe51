package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

var log = logs.For("node/session")

// Errors that end a session.
var (
	// ErrSilent: nothing came from the link for several heartbeats.
	ErrSilent = errors.New("the SuperLink is silent")
	// ErrBye: the link ended the session on purpose.
	ErrBye = errors.New("the SuperLink said goodbye")
	// ErrLeft: this node said goodbye, and must not come back.
	ErrLeft = errors.New("this node has left")
)

// RefusedError says that the link does not want this node.
type RefusedError struct {
	Reason sessionpb.Refused_Reason
	Detail string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the SuperLink refused the session: %s (%s)", e.Reason, e.Detail)
}

// Final tells whether trying again is of no use.
func (e *RefusedError) Final() bool { return e.Reason == sessionpb.Refused_REVOKED }

// Office is what takes in what the SuperLink says about messages, and where replies come from.
// It reports what became of an offer through [Client.Accept] and [Client.Decline].
type Office interface {
	// Inventory is what the node has from earlier sessions.
	Inventory(ctx context.Context) (state.Inventory, error)
	// TakeIn takes in a message that the link offers to this node, which the link knows by the
	// given id. It must not block.
	TakeIn(offered *sessionpb.Offer, node uint64)
	// Deliver passes unconfirmed replies to send, until ctx ends or send fails.
	Deliver(ctx context.Context, send func(state.Reply) error) error
	// Confirm says that the link has stored the reply to an instruction, or does not want
	// it (in that case replyID is empty).
	Confirm(ctx context.Context, instructionID, replyID string) error
	// DropRun ends everything of a run; once it has returned, nothing of the run is left.
	DropRun(ctx context.Context, runID uint64) (unanswered int, err error)
}

// Identities remembers who this node is, according to the link.
type Identities interface {
	Identity(ctx context.Context) (state.Identity, error)
	UpdateIdentity(ctx context.Context, change func(*state.Identity)) (state.Identity, error)
}

// Config is what a Client works with.
type Config struct {
	Identities Identities

	Software, Name, Location string
	Slots                    uint32
	DeclineSwarm             bool
	// Swarm is told what the link says about other nodes. Optional.
	Swarm Swarm
	// Addrs returns the addresses at which other nodes may try to reach this one. Optional.
	Addrs func() []ma.Multiaddr

	// Hint takes a run announcement that the link repeats. It must not block. Optional.
	Hint func(announcement []byte)
	// Opened is told of each session that opens. It must not block. Optional.
	Opened func()
	// Cancelled is told of each run that the link has ended, after it was dropped. It must
	// not block. Optional.
	Cancelled func(runID uint64)
}

// Client holds the session with the SuperLink. Serve is called for one stream at a time;
// everything else may be called concurrently, whether or not there is a session.
type Client struct {
	cfg   Config
	heard atomic.Int64 // when the link last showed a sign of life, as Unix nanoseconds

	mu       sync.Mutex
	verdicts map[string]verdict // to be reported to the link, by message id
	open     *open              // nil without a session
	left     bool               // a goodbye was sent
	status   Status

	told chan struct{} // has a value when verdicts changed
	logs chan *sessionpb.AppLogs
	lost atomic.Int64 // lines of app output that were dropped
}

// open is a session after its Welcome.
type open struct {
	conn    *session.Conn
	stream  network.Stream
	office  Office
	node    uint64 // what the link calls this node
	beat    time.Duration
	heard   *atomic.Int64 // of the Client
	wrote   atomic.Int64  // when the last frame was written, as Unix nanoseconds
	look    *time.Timer   // when keepAlive looks at both
	control chan *sessionpb.Frame
	ended   chan struct{} // closed when the session is over
}

// New makes a Client.
func New(cfg Config) *Client {
	if cfg.Swarm == nil {
		cfg.Swarm = noSwarm{}
	}
	return &Client{
		cfg:      cfg,
		verdicts: make(map[string]verdict),
		told:     make(chan struct{}, 1),
		logs:     make(chan *sessionpb.AppLogs, maxLogFrames),
	}
}

// Serve holds a session on a stream, on behalf of the office, until it ends, and returns why it
// ended. A *RefusedError may be final; after ErrLeft it must not be called again. When ctx ends,
// the stream is reset.
func (c *Client) Serve(ctx context.Context, stream network.Stream, office Office) (err error) {
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer stop()
	defer func() {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		err = c.ended(err)
	}()
	conn := session.NewConn(stream, session.Limits{})
	welcome, err := c.greet(ctx, conn, stream, office)
	if err != nil {
		_ = stream.Reset()
		return err
	}
	o := c.newOpen(conn, stream, office, welcome)
	c.opened(o, welcome)
	c.cfg.Swarm.Opened(welcome.GetSwarm())
	defer c.cfg.Swarm.Closed()
	if c.cfg.Opened != nil {
		c.cfg.Opened()
	}
	log.Info("session is open", "node", welcome.GetNodeId(), "federation", welcome.GetFederation(), "heartbeat", o.beat)

	g, ctx := errgroup.WithContext(ctx)
	// The first one to fail wakes the reader, which blocks in the stream.
	stopGroup := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer stopGroup()
	g.Go(func() error { return c.read(ctx, o) })
	g.Go(func() error { return o.keepAlive(ctx) })
	g.Go(func() error { return c.writeControl(ctx, o) })
	g.Go(func() error { return c.writeVerdicts(ctx, o) })
	g.Go(func() error { return office.Deliver(ctx, o.writeReply) })
	g.Go(func() error { return c.writeLogs(ctx, o) })
	return g.Wait()
}

func (c *Client) newOpen(conn *session.Conn, stream network.Stream, office Office, w *sessionpb.Welcome) *open {
	beat := heartbeat(w)
	return &open{
		conn: conn, stream: stream, office: office, node: w.GetNodeId(), beat: beat, heard: &c.heard, look: time.NewTimer(beat),
		control: make(chan *sessionpb.Frame, maxControl), ended: make(chan struct{}),
	}
}
