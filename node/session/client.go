package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

var log = logging.Logger("node/session")

// Errors that end a session.
var (
	// ErrSilent: nothing came from the link for several heartbeats.
	ErrSilent = errors.New("the SuperLink is silent")
	// ErrBye: the link ended the session on purpose.
	ErrBye = errors.New("the SuperLink said goodbye")
	// ErrLeft: this node said goodbye, and is not to come back.
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

// Final tells that trying again is of no use.
func (e *RefusedError) Final() bool { return e.Reason == sessionpb.Refused_REVOKED }

// Config is what a Client works with.
type Config struct {
	Store  *state.Store
	Intake *messages.Intake

	Software, Name, Location string
	Slots                    uint32
	DeclineSwarm             bool
	// Swarm is told what the link says of other nodes. Optional.
	Swarm Swarm
	// Addrs are where other nodes may try to reach this one. Optional.
	Addrs func() []ma.Multiaddr

	// Hint takes a run announcement that the link repeats. It must not block. Optional.
	Hint func(announcement []byte)
	// Opened is told of each session that opens. It must not block. Optional.
	Opened func()
	// Cancelled is told of each run that the link has ended, after it was dropped. It must
	// not block. Optional.
	Cancelled func(runID uint64)
}

// Swarm exchanges objects with other nodes. Its methods must not block.
type Swarm interface {
	// Opened is told of each session that opens, and whether the link lets nodes exchange objects.
	Opened(on bool)
	// Closed is told of its end. What was said of nodes in it holds no longer.
	Closed()
	// Peers replaces the nodes that objects of a run may be exchanged with.
	Peers(runID uint64, peers []*sessionpb.Provider)
	// Shared names objects of a run that go to several nodes: ids of 32 bytes each.
	Shared(runID uint64, ids []byte)
}

// Client holds the session with the SuperLink. Serve is called for one stream at a time;
// everything else may be called concurrently.
type Client struct {
	cfg   Config
	heard atomic.Int64 // when the link last showed life, as Unix nanoseconds

	mu      sync.Mutex
	results map[string]error // ends of offers to be told to the link, by message id
	open    *open            // nil without a session
	left    bool             // a goodbye was sent
	status  Status

	told chan struct{} // has a value when results changed
	logs chan *sessionpb.AppLogs
	lost atomic.Int64 // lines of app output that were dropped
}

// open is a session after its Welcome.
type open struct {
	conn    *session.Conn
	stream  network.Stream
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
		cfg:     cfg,
		results: make(map[string]error),
		told:    make(chan struct{}, 1),
		logs:    make(chan *sessionpb.AppLogs, maxLogFrames),
	}
}

// Serve holds a session on a stream until it ends, and says why. A *RefusedError may be
// final; after ErrLeft it must not be called again. When ctx ends, the stream is reset.
func (c *Client) Serve(ctx context.Context, stream network.Stream) (err error) {
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer stop()
	defer func() {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		err = c.ended(err)
	}()
	conn := session.NewConn(stream, session.Limits{})
	welcome, err := c.greet(ctx, conn, stream)
	if err != nil {
		_ = stream.Reset()
		return err
	}
	o := c.newOpen(conn, stream, heartbeat(welcome))
	c.opened(o, welcome)
	c.cfg.Swarm.Opened(welcome.GetSwarm())
	defer c.cfg.Swarm.Closed()
	if c.cfg.Opened != nil {
		c.cfg.Opened()
	}
	log.Infow("session is open", "node", welcome.GetNodeId(), "federation", welcome.GetFederation(), "heartbeat", o.beat)

	g, ctx := errgroup.WithContext(ctx)
	// The first that fails wakes the reader, which blocks in the stream.
	stopGroup := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer stopGroup()
	g.Go(func() error { return c.read(ctx, o) })
	g.Go(func() error { return o.keepAlive(ctx) })
	g.Go(func() error { return c.writeControl(ctx, o) })
	g.Go(func() error { return c.writeResults(ctx, o) })
	g.Go(func() error { return c.writeReplies(ctx, o) })
	g.Go(func() error { return c.writeLogs(ctx, o) })
	return g.Wait()
}

func (c *Client) newOpen(conn *session.Conn, stream network.Stream, beat time.Duration) *open {
	return &open{
		conn: conn, stream: stream, beat: beat, heard: &c.heard, look: time.NewTimer(beat),
		control: make(chan *sessionpb.Frame, maxControl), ended: make(chan struct{}),
	}
}

// Alive tells that bytes came from the link by another stream.
func (c *Client) Alive() { c.heard.Store(time.Now().UnixNano()) }

// Leave says goodbye if the node owes nothing, so that the link need not wait for its
// return, and waits until the link has heard it. Without a goodbye the session goes on,
// and when it ends the link keeps the node's messages for the grace period.
func (c *Client) Leave(ctx context.Context, detail string) {
	c.mu.Lock()
	o := c.open
	c.mu.Unlock()
	if o == nil {
		return
	}
	inv, err := c.cfg.Store.Inventory(ctx)
	if err != nil || len(inv.Accepted)+len(inv.Answered) > 0 {
		return
	}
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()
	bye := &sessionpb.Frame{Body: &sessionpb.Frame_Bye{Bye: &sessionpb.Bye{Detail: detail}}}
	if err := o.write(bye); err != nil {
		log.Debugw("goodbye was not sent", "err", err)
		return
	}
	_ = o.stream.CloseWrite()
	select {
	case <-o.ended: // the link has closed its side
	case <-ctx.Done():
	}
}

// greet sends the Hello and waits for the Welcome.
func (c *Client) greet(ctx context.Context, conn *session.Conn, stream network.Stream) (*sessionpb.Welcome, error) {
	// What ends from here on is told in this session; what ended before is in the inventory.
	c.mu.Lock()
	clear(c.results)
	c.mu.Unlock()
	inv, err := c.cfg.Store.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	var addrs [][]byte
	if c.cfg.Addrs != nil && !c.cfg.DeclineSwarm {
		for _, addr := range c.cfg.Addrs() {
			addrs = append(addrs, addr.Bytes())
		}
	}
	_ = stream.SetDeadline(time.Now().Add(greetingLimit))
	err = conn.WriteFrame(&sessionpb.Frame{Body: &sessionpb.Frame_Hello{Hello: &sessionpb.Hello{
		Version:       version,
		Software:      c.cfg.Software,
		Name:          c.cfg.Name,
		Location:      c.cfg.Location,
		Accepted:      inv.Accepted,
		UnsentReplies: inv.Answered,
		RunIds:        inv.RunIDs,
		Slots:         c.cfg.Slots,
		DeclineSwarm:  c.cfg.DeclineSwarm,
		Addrs:         addrs,
	}}})
	if err != nil {
		return nil, fmt.Errorf("send hello: %w", err)
	}
	frame, err := conn.ReadFrame()
	if err != nil {
		return nil, fmt.Errorf("wait for welcome: %w", err)
	}
	_ = stream.SetDeadline(time.Time{})
	switch body := frame.GetBody().(type) {
	case *sessionpb.Frame_Welcome:
		return body.Welcome, c.remember(ctx, body.Welcome)
	case *sessionpb.Frame_Refused:
		return nil, &RefusedError{Reason: body.Refused.GetReason(), Detail: body.Refused.GetDetail()}
	default:
		return nil, fmt.Errorf("wait for welcome: got %T", body)
	}
}

// remember keeps what the link says this node is.
func (c *Client) remember(ctx context.Context, w *sessionpb.Welcome) error {
	if w.GetNodeId() == 0 {
		return errors.New("the SuperLink gave no node id")
	}
	id, err := c.cfg.Store.Identity(ctx)
	if err != nil {
		return err
	}
	if id.NodeID == w.GetNodeId() && id.Federation == w.GetFederation() && id.Joined {
		return nil
	}
	if id.NodeID != 0 && id.NodeID != w.GetNodeId() {
		log.Warnw("the SuperLink gave this node another id; has it lost its data?", "old", id.NodeID, "new", w.GetNodeId())
	}
	_, err = c.cfg.Store.UpdateIdentity(ctx, func(id *state.Identity) {
		id.NodeID, id.Federation, id.Joined = w.GetNodeId(), w.GetFederation(), true
	})
	return err
}

func heartbeat(w *sessionpb.Welcome) time.Duration {
	beat := time.Duration(w.GetHeartbeatMillis()) * time.Millisecond
	if beat == 0 {
		return defaultHeartbeat
	}
	return min(max(beat, minHeartbeat), maxHeartbeat)
}

// noSwarm is for who takes no part.
type noSwarm struct{}

func (noSwarm) Opened(bool)                         {}
func (noSwarm) Closed()                             {}
func (noSwarm) Peers(uint64, []*sessionpb.Provider) {}
func (noSwarm) Shared(uint64, []byte)               {}
