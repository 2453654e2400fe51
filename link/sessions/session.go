package sessions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/streams"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// peerSession is one session. Its goroutines are the reader, the pusher (which sends what others
// queue, and offers) and the reply workers. The first of them to end ends the others by way of
// ctx, as the server's pulse does when the node goes silent.
type peerSession struct {
	server *Server
	stream *streams.Stream
	conn   *session.Conn
	peer   peer.ID
	node   state.Node
	since  time.Time
	swarm  bool           // the node takes part
	addrs  []ma.Multiaddr // where it says that others can reach it

	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when all of it has ended

	serving context.Context // the server's context; ctx, the session's, is derived from it

	// heard is when the node last showed life, in Unix nanoseconds: a frame, or bytes of an
	// object. said is when the last frame came.
	heard, said atomic.Int64

	replies chan *sessionpb.Reply
	outbox  *outbox
	logs    *logBudget
}

func (s *Server) newSession(ctx context.Context, stream *streams.Stream) *peerSession {
	ps := &peerSession{
		server: s, stream: stream, conn: session.NewConn(stream, session.Limits{}),
		peer: stream.Conn().RemotePeer(), since: time.Now(), done: make(chan struct{}),
		replies: make(chan *sessionpb.Reply, replyQueue), outbox: newOutbox(), logs: newLogBudget(),
	}
	ps.serving = ctx
	ps.ctx, ps.cancel = context.WithCancelCause(ctx)
	ps.heard.Store(time.Now().UnixNano())
	ps.said.Store(ps.heard.Load())
	return ps
}

// serve holds a session from its first byte to its last.
func (s *Server) serve(ctx context.Context, stream *streams.Stream) error {
	ps := s.newSession(ctx, stream)
	defer ps.cancel(nil)
	// Only a reset unblocks the reader and the writers.
	stop := context.AfterFunc(ps.ctx, func() { _ = stream.Reset() })
	defer stop()

	hello, err := ps.greet()
	if err != nil {
		log.Info("session refused", "peer", ps.peer, "reason", err)
		return nil // the stream is closed and not reset, so that the refusal arrives
	}
	if err := s.enter(ps); err != nil {
		return err
	}
	defer s.leave(ps)
	if err := ps.begin(hello); err != nil {
		log.Warn("session did not begin", "peer", ps.peer, "node", ps.node.ID, "err", err)
		return err // the stream is reset: the node tries again at once, instead of waiting for a Welcome
	}
	log.Info("node is here", "node", ps.node.ID, "name", ps.node.Name, "peer", ps.peer)
	ps.run()
	ps.end()
	return context.Cause(ps.ctx)
}

// run serves the session until something ends it.
func (ps *peerSession) run() {
	var parts sync.WaitGroup
	part := func(work func() error) {
		parts.Go(func() { ps.cancel(work()) })
	}
	ps.server.pulse.add(ps)
	defer ps.server.pulse.remove(ps)
	part(ps.read)
	part(ps.push)
	for range replyWorkers {
		part(ps.takeReplies)
	}
	parts.Wait()
}

// end settles the node's state after the session. While the store cannot take that, it keeps
// trying, and the node's next session waits: a node whose departure is not recorded would be
// waited for forever. If the link stops meanwhile, its next start settles it.
func (ps *peerSession) end() {
	cause := context.Cause(ps.ctx)
	ended := time.Now()
	log.Info("session ended", "node", ps.node.ID, "name", ps.node.Name, "reason", cause)
	if errors.Is(cause, errSilent) {
		_ = ps.stream.Conn().Close()
	}
	if errors.Is(cause, errRevoked) || errors.Is(cause, errReplaced) {
		return // what comes next is already decided
	}
	for {
		err := ps.noteEnd(cause, ended)
		if err == nil {
			return
		}
		log.Error("the end of a session could not be recorded; trying again", "node", ps.node.ID, "in", storeDelay, "err", err)
		if !retry.Sleep(ps.serving, storeDelay) {
			return
		}
	}
}

// closePathLeftFor closes the direct path of a session whose node comes back through a relay: the
// node has lost that path, perhaps because its address changed. The transports take half a minute
// to notice, and as long as a direct path seems to exist, no hole is punched for the node.
func (ps *peerSession) closePathLeftFor(next *peerSession) {
	was, is := ps.stream.Conn(), next.stream.Conn()
	if !addr.Relayed(was) && addr.Relayed(is) {
		_ = was.Close() // the connection is dead
	}
}

func (ps *peerSession) noteEnd(cause error, ended time.Time) error {
	// The session's context is over, but what is written now must not hang when the link stops either.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ps.ctx), storeDelay)
	defer cancel()
	store := ps.server.cfg.Store
	if errors.Is(cause, errBye) {
		return store.DeactivateNode(ctx, ps.node.ID)
	}
	if quiet, ok := errors.AsType[silent](cause); ok {
		ended = quiet.since
	}
	_, err := store.TouchNode(ctx, ps.node.ID, ps.server.cfg.Heartbeat, ended.Add(ps.server.cfg.Grace))
	return err
}

// read reads frames until the stream ends.
func (ps *peerSession) read() error {
	for {
		frame, err := ps.conn.ReadFrame()
		if err != nil {
			return fmt.Errorf("read from the node: %w", err)
		}
		ps.heard.Store(time.Now().UnixNano())
		ps.said.Store(ps.heard.Load())
		if err := ps.handle(frame); err != nil {
			return err
		}
	}
}

// handle acts on one frame. An error ends the session; the node comes back and both sides compare
// what they have, which is the one way in which everything is repaired.
func (ps *peerSession) handle(frame *sessionpb.Frame) error {
	switch body := frame.GetBody().(type) {
	case *sessionpb.Frame_Accept:
		return ps.accepted(body.Accept.GetMessageId())
	case *sessionpb.Frame_Decline:
		return ps.declined(body.Decline)
	case *sessionpb.Frame_Reply:
		select {
		case ps.replies <- body.Reply:
		case <-ps.ctx.Done():
		}
		return nil
	case *sessionpb.Frame_Ping:
		return ps.send(&sessionpb.Frame{Body: &sessionpb.Frame_Pong{Pong: &sessionpb.Pong{Nonce: body.Ping.GetNonce()}}})
	case *sessionpb.Frame_Pong:
		return nil
	case *sessionpb.Frame_AppLogs:
		return ps.appLogs(body.AppLogs)
	case *sessionpb.Frame_Bye:
		return errBye
	default:
		return nil // a newer node may say more than this link understands
	}
}

func (ps *peerSession) send(frame *sessionpb.Frame) error {
	if err := ps.conn.WriteFrame(frame); err != nil {
		return fmt.Errorf("send to the node: %w", err)
	}
	return nil
}

// look gives the session up when nothing has come from the node for too long. Before that it asks
// for a sign of life, and gives one: a node that sends a large reply over a slow line has its own
// pings queued behind it, and would hear nothing from a link that only answers. A node that said
// something within patience needs neither.
func (ps *peerSession) look(now time.Time, patience time.Duration) {
	heard := time.Unix(0, ps.heard.Load())
	if now.Sub(heard) >= silentBeats*ps.server.cfg.Heartbeat {
		ps.cancel(silent{since: heard})
		return
	}
	if now.Sub(time.Unix(0, ps.said.Load())) >= patience {
		ps.outbox.ping()
	}
}

// silent is errSilent with the time of the last sign of life: a transfer that is cut by the end of
// the session counts the bytes in hand only then, and they are not a sign of life.
type silent struct{ since time.Time }

func (silent) Error() string { return errSilent.Error() }
func (silent) Unwrap() error { return errSilent }
