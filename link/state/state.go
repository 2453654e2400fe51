package state

import (
	"context"
	"errors"
	"time"

	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// These are the errors that callers branch on. Every other error means that the store could not
// do it now (disk full, closing): callers answer 503, and nothing has changed.
var (
	ErrNotFound    = errors.New("not found")
	ErrRunFinished = errors.New("run is finished")
	// ErrKeyInUse: a node with this public key or peer id exists or existed.
	ErrKeyInUse = errors.New("public key is in use")
	// ErrNotAllowed: the node's state does not allow this (an online node is activated again, or
	// a removed one comes back).
	ErrNotAllowed = errors.New("not allowed in this state")
	// ErrTokenSpent: a join token is unknown, expired, used up or revoked.
	ErrTokenSpent = errors.New("join token is not valid any more")
	// ErrTooMany: a bound of limits.go was reached. Nothing has changed.
	ErrTooMany = errors.New("too many")
)

// Store is the SuperLink's durable state. What a method reports as done is on disk.
// Methods may be called concurrently.
type Store interface {
	Runs
	Tasks
	Messages
	Nodes
	Membership

	// Bell rings after a commit; the Key functions say what is rung when.
	Bell() *wake.Bell
	// Expire applies all deadlines that have passed (claims, heartbeats, message lifetimes, nodes
	// that went silent, leases) and returns when the next one comes (zero: none is known). Bell key
	// KeyDeadline is rung when an earlier one appears.
	Expire(ctx context.Context, now time.Time) (next time.Time, err error)
	Close() error
}

// Run is a run with the state of its primary task.
type Run struct {
	ID, SeriesID     uint64
	PrimaryTask      task.Task
	FABID            string // publisher/name
	FABVersion       string
	FABHash          string
	Verifications    map[string]string
	OverrideConfig   map[string]*flwrpb.Scalar
	Federation       string
	AccountID        string
	BytesSent        uint64 // to nodes
	BytesReceived    uint64 // from nodes
	ClientAppRuntime time.Duration
}

// Proto is the run as Flower's APIs show it.
func (r Run) Proto() *flwrpb.Run { return runProto(r) }

// NewRun is what StartRun creates in one step: run, series, context and primary task.
type NewRun struct {
	SeriesID       uint64 // 0: a new series
	TaskType       string // task.TypeServerApp
	FABID          string
	FABVersion     string
	FABHash        string
	Verifications  map[string]string
	OverrideConfig map[string]*flwrpb.Scalar
	Federation     string
	AccountID      string
}

// Retention says which finished runs are kept; the others are forgotten. Unfinished runs are
// always kept.
type Retention struct {
	// Age is how long a run is kept after it has ended; 0 means forever.
	Age time.Duration
	// Bytes bounds all finished runs together: logs, the contexts of their series, and RunRowBytes
	// each; 0: no bound. The newest are kept.
	Bytes int64
}

// Runs are the runs, their contexts and their logs.
type Runs interface {
	// CreateRun creates a run with its pending primary task. The FAB is registered as an object of
	// the run. It returns ErrNotFound for an unknown SeriesID, and ErrTooMany. Rings KeyPendingTask.
	CreateRun(ctx context.Context, r NewRun) (Run, error)
	Run(ctx context.Context, runID uint64) (Run, error)
	// ListRuns lists the newest first. limit 0 means no limit.
	ListRuns(ctx context.Context, limit, skip uint64) ([]Run, error)
	// UnfinishedRuns are all runs that are not finished.
	UnfinishedRuns(ctx context.Context) ([]Run, error)
	// FinishRun ends the run's primary task and with it everything of the run: all tasks, all
	// messages; the run and its logs stay. ErrRunFinished if it was already finished,
	// task.ErrNotRunning for completed from another state. Rings KeyRun, KeyTask for each task,
	// KeyRunEnds, KeyReplies.
	FinishRun(ctx context.Context, runID uint64, sub task.SubStatus, details string) error
	// AddRunStats adds to the run's statistics.
	AddRunStats(ctx context.Context, runID uint64, sent, received uint64, clientApp time.Duration) error

	// ForgetRuns removes finished runs that the retention does not keep, oldest first: the run, its
	// tasks and its logs, and with the last run of a series the series. Runs that still hold objects
	// stay until ReleaseObjects is done with them. forgotten is right even if there is an error; next
	// is when to call again (zero: when another run has ended).
	ForgetRuns(ctx context.Context, now time.Time, keep Retention) (forgotten []uint64, next time.Time, err error)

	// SeriesContext is the serialized Context that the ServerApp of a series starts from: what the
	// last run of the series left, under that run's id.
	SeriesContext(ctx context.Context, seriesID uint64) ([]byte, error)
	// FinishTaskWithContext ends a primary task as FinishRun does and stores its context (nil: the
	// old one stays), in one step.
	FinishTaskWithContext(ctx context.Context, taskID uint64, sub task.SubStatus, details string, seriesContext []byte, clientApp time.Duration) error

	// AppendLogs keeps log text of a run (lines are joined as they are, with the line ends that they
	// have); beyond MaxLogBytes the oldest text goes, and a line says so. Rings KeyLogs.
	AppendLogs(ctx context.Context, runID uint64, at time.Time, lines []string) error
	// Logs is the text of a run after the given sequence number, when the last of it was written,
	// and its number (afterSeq and the zero time if there is none).
	Logs(ctx context.Context, runID uint64, afterSeq int64) (text string, last time.Time, lastSeq int64, err error)

	// RegisterObjects records that the run needs these objects, so that they are kept. Check which
	// of them are there after this call, not before: until then they may be removed. That an object
	// is there for another run does not mean that this one may have it: see HoldObjects.
	// ErrNotFound, ErrRunFinished, ErrTooMany.
	RegisterObjects(ctx context.Context, runID uint64, objectIDs []string) error
	// HoldObjects records that the run was given the content of these objects, which makes it a
	// holder: from here on they may be read in its name. A run that merely names the id of another
	// run's object does not hold it. Ids that are not registered are left out. A run's app bundle is
	// held from the start. ErrNotFound, ErrRunFinished.
	HoldObjects(ctx context.Context, runID uint64, objectIDs []string) error
	// UnheldObjects are those of the ids that the run does not hold, in their order.
	UnheldObjects(ctx context.Context, runID uint64, objectIDs []string) ([]string, error)
	// RunHasObject reports whether the object was registered for the run, held or not.
	RunHasObject(ctx context.Context, runID uint64, objectID string) (bool, error)
	// ReleaseObjects drops the references of a finished run and calls remove for each object that no
	// run needs any more; no registration can come between those two, so remove must be quick and
	// must not call the store. If remove fails, the rest is left for the next call.
	ReleaseObjects(ctx context.Context, runID uint64, remove func(objectID string) error) error
	// SpareObjects are objects of an unfinished run that none of its messages refers to, and that were
	// last registered before the given time, least recently registered first. A caller that registers
	// an object stores the message that needs it in less than the time since then.
	// ErrNotFound, ErrRunFinished.
	SpareObjects(ctx context.Context, runID uint64, before time.Time) ([]string, error)
	// ReleaseSpareObjects does for some of SpareObjects, found with the same time, what
	// ReleaseObjects does for all objects of a finished run; what was registered again in between
	// stays. ErrNotFound, ErrRunFinished.
	ReleaseSpareObjects(ctx context.Context, runID uint64, before time.Time, objectIDs []string, remove func(objectID string) error) error
	// FinishedRunsHoldingObjects lists finished runs for which ReleaseObjects has work.
	FinishedRunsHoldingObjects(ctx context.Context) ([]uint64, error)
}

// Tasks is package task on this store.
type Tasks interface {
	// ClaimTask claims the oldest pending task of the given types; ok is false if none.
	ClaimTask(ctx context.Context, types []string) (t task.Task, token string, ok bool, err error)
	// ReleaseTask gives back a claim that did not reach its executor; its token becomes void.
	// task.ErrNotFound if the task was started or has ended meanwhile. Rings as an expired claim does.
	ReleaseTask(ctx context.Context, taskID uint64) error
	TaskByToken(ctx context.Context, token string) (task.Task, error) // task.ErrUnknownToken
	Task(ctx context.Context, taskID uint64) (task.Task, error)
	// ActivateTask moves starting to running; repeating it is not an error. task.ErrNotClaimed,
	// task.ErrFinished.
	ActivateTask(ctx context.Context, taskID uint64) error
	// HeartbeatTask extends the task's life; false if it is no longer running.
	HeartbeatTask(ctx context.Context, taskID uint64) (bool, error)
}

// MessageState of an instruction, drawn in the package comment.
type MessageState string

// The states of a message.
const (
	// Gathering: objects of the message are still missing.
	Gathering MessageState = "gathering"
	// Waiting: complete, and to be offered or pulled.
	Waiting MessageState = "waiting"
	// Leased: offered or pulled, and not confirmed.
	Leased MessageState = "leased"
	// Delivered: confirmed by the receiver. This is where an instruction waits for its reply.
	Delivered MessageState = "delivered"
)

// Message is an instruction (to a node) or a reply (to the SuperLink).
type Message struct {
	ID      string
	RunID   uint64
	NodeID  uint64 // the node at the other end: destination of an instruction, source of a reply
	ReplyTo string // the instruction that a reply answers
	State   MessageState
	Proto   []byte // flwrpb.Message, as received, unknown fields included
	Tree    []byte // flwrpb.ObjectTree
	// Brought are registered objects whose content came with the message: InsertReply has the run
	// hold them in the same step. It is not stored.
	Brought   []string
	CreatedAt float64 // Unix seconds, set by the sender
	TTL       float64 // seconds
}

// ExpiresAt is when nobody wants the message any more.
func (m Message) ExpiresAt() time.Time {
	return time.UnixMicro(int64((m.CreatedAt + m.TTL) * 1e6))
}

// Messages are instructions and replies.
type Messages interface {
	// InsertInstructions stores instructions, atomically. State is Gathering or Waiting. The result
	// has an entry for each: nil if it was stored (or stored before: same id), otherwise the reason
	// why not (ErrNotFound for the run or a node that was never activated or is unregistered,
	// ErrRunFinished, ErrNotAllowed for one that has expired, ErrTooMany). Rings KeyNode for those
	// that are Waiting.
	InsertInstructions(ctx context.Context, msgs []Message) ([]error, error)
	// InsertReply stores a reply. State is Gathering or Waiting. ErrNotFound if the instruction is
	// unknown, expired, of another run or not this node's; inserting an id again is not an error and
	// may complete the reply; a second, different reply to an instruction is ErrNotAllowed. The
	// instruction counts as delivered, whether that was confirmed or not. Rings KeyReplies once the
	// reply is complete.
	InsertReply(ctx context.Context, m Message, runtime time.Duration) error
	// MarkComplete moves messages from Gathering to Waiting and rings as Insert does.
	MarkComplete(ctx context.Context, messageIDs []string) error
	// DropMessages forgets messages that will never be complete, or that nobody is waiting for. An
	// instruction takes its reply with it; an instruction that loses its reply stays delivered. Rings
	// KeyReplies.
	DropMessages(ctx context.Context, messageIDs []string, reason string) error
	// GatheringMessages lists all incomplete messages, for the start after a crash.
	GatheringMessages(ctx context.Context) ([]Message, error)

	// LeaseInstructions leases up to limit Waiting instructions for the node, oldest first, until the
	// given time (zero: until Unlease or the node's next session).
	LeaseInstructions(ctx context.Context, nodeID uint64, limit int, until time.Time) ([]Message, error)
	// LeasedInstructions are those leased to the node and not confirmed.
	LeasedInstructions(ctx context.Context, nodeID uint64) ([]Message, error)
	// ExtendLeases moves the end of all leases of the node.
	ExtendLeases(ctx context.Context, nodeID uint64, until time.Time) error
	// Unlease puts leased or delivered instructions that have no complete reply back to Waiting; an
	// incomplete reply is dropped. Rings KeyNode.
	Unlease(ctx context.Context, messageIDs []string) error
	// UnansweredInstructions are the node's instructions that have no complete reply, in any state,
	// oldest first: what the node owes.
	UnansweredInstructions(ctx context.Context, nodeID uint64) ([]Message, error)
	// MarkDelivered records that the node has these instructions. Those that are not its own are left
	// as they are.
	MarkDelivered(ctx context.Context, nodeID uint64, messageIDs []string) error
	Message(ctx context.Context, messageID string) (Message, error)

	// Answers says how instructions of a run stand: for each id a complete reply, or the reason why
	// none will come, or nothing yet. Results come in the order of ids. Replies are leased, not
	// removed: asking again gives them again until ConfirmReply. A complete reply counts even if its
	// node is gone.
	Answers(ctx context.Context, runID uint64, instructionIDs []string) ([]Answer, error)
	// Answered filters the ids for which Answers says more than NoAnswerYet, without reading the
	// answers. It is cheap enough to be asked on each wake with all ids of a run.
	Answered(ctx context.Context, runID uint64, instructionIDs []string) ([]string, error)
	// ConfirmReply ends the lease of a reply: it and its instruction are removed. An unknown reply is
	// not an error.
	ConfirmReply(ctx context.Context, runID uint64, replyID string) error
	// UnansweredByNode counts, for the status of a run, what each node still owes it.
	UnansweredByNode(ctx context.Context, runID uint64) (map[uint64]int, error)
}

// AnswerKind says how an instruction stands.
type AnswerKind int

// The kinds of answers; the last three become error messages with Flower's codes 3, 5, 4.
const (
	NoAnswerYet AnswerKind = iota
	Replied
	InstructionUnknown
	NodeUnavailable
	ReplyExpired
)

// Answer to one instruction.
type Answer struct {
	InstructionID string
	Kind          AnswerKind
	Reply         Message // when Replied
	Instruction   Message // without its Tree; zero when InstructionUnknown or NoAnswerYet
}

// NodeStatus is a node's status as Flower names it.
type NodeStatus string

// The states of a node.
const (
	NodeRegistered   NodeStatus = "registered"
	NodeOnline       NodeStatus = "online"
	NodeOffline      NodeStatus = "offline"
	NodeUnregistered NodeStatus = "unregistered"
)

// Node is a SuperNode, either Rhizome's (PeerID set) or a stock one.
type Node struct {
	ID                uint64
	PeerID            string // empty for a stock SuperNode
	PublicKey         []byte // PEM
	Name, Location    string
	OwnerID           string
	Status            NodeStatus
	HeartbeatInterval time.Duration
	// OnlineUntil is the deadline for the next sign of life; it is far in the future while a session
	// is open.
	OnlineUntil                                                      time.Time
	RegisteredAt, LastActivatedAt, LastDeactivatedAt, UnregisteredAt time.Time
}

// Proto is the node as Flower's APIs show it.
func (n Node) Proto() *flwrpb.NodeInfo { return nodeProto(n) }

// Nodes are the SuperNodes.
type Nodes interface {
	// RegisterNode creates a node with a new id. ErrKeyInUse if PublicKey or PeerID was ever used,
	// ErrNotAllowed for a peer that was revoked, ErrTooMany.
	RegisterNode(ctx context.Context, n Node) (Node, error)
	Node(ctx context.Context, nodeID uint64) (Node, error)
	NodeByKey(ctx context.Context, publicKey []byte) (Node, error)
	NodeByPeer(ctx context.Context, peerID string) (Node, error)
	// ListNodes lists all nodes, including offline and unregistered ones, oldest first.
	ListNodes(ctx context.Context) ([]Node, error)
	// OnlineNodes are the federation's nodes that are online.
	OnlineNodes(ctx context.Context) ([]Node, error)
	// ActivateNode makes a registered or offline node online; with takeover also one that is already
	// online (a node with a session that comes back before it was missed). ErrNotFound,
	// ErrNotAllowed. Rings KeyNodes.
	ActivateNode(ctx context.Context, nodeID uint64, interval time.Duration, until time.Time, takeover bool) error
	// TouchNode is a sign of life, which brings back a node that went offline. False if the node is
	// unknown or unregistered. Rings KeyNodes if it was not online.
	TouchNode(ctx context.Context, nodeID uint64, interval time.Duration, until time.Time) (bool, error)
	// DeactivateNode makes the node offline now; one that is not online stays as it is. ErrNotFound.
	// Rings KeyNodes, and KeyReplies of the runs that it owes replies.
	DeactivateNode(ctx context.Context, nodeID uint64) error
	// UnregisterNode is final; for a Rhizome node it also removes the member. ErrNotFound,
	// ErrNotAllowed if it was unregistered before. Rings as DeactivateNode does.
	UnregisterNode(ctx context.Context, nodeID uint64) error
	// RenameNode sets what the node calls itself.
	RenameNode(ctx context.Context, nodeID uint64, name, location string) error
}

// Member is a peer that was let in.
type Member struct {
	PeerID    string
	Role      join.Role
	Name      string
	NodeID    uint64 // 0 until a node joined with this peer id
	AddedAt   time.Time
	AddedBy   string // "ticket ID" or "admin"
	RevokedAt time.Time
}

// JoinToken is the link's side of a ticket. Only a hash of the secret is kept.
type JoinToken struct {
	ID         string
	SecretHash []byte // SHA-256
	Role       join.Role
	MaxUses    int // 0: no limit
	Uses       int
	ExpiresAt  time.Time // zero: never
	CreatedAt  time.Time
	RevokedAt  time.Time
}

// Membership decides who may connect.
type Membership interface {
	CreateToken(ctx context.Context, t JoinToken) error
	ListTokens(ctx context.Context) ([]JoinToken, error)
	// RevokeToken is not an error for a spent token. ErrNotFound.
	RevokeToken(ctx context.Context, id string) error
	// UsableTokens reports whether any token could still let a peer in.
	UsableTokens(ctx context.Context) (bool, error)
	// Join registers the peer with a token's role and counts the use, in one step. A peer that is
	// already a member does not use it up. ErrTokenSpent, ErrNotAllowed (revoked peer).
	Join(ctx context.Context, peerID, tokenID string, secret []byte, name string) (Member, error)
	// AddMember lets a peer in, or changes the role and name of a member. ErrNotAllowed for a revoked
	// peer.
	AddMember(ctx context.Context, m Member) error
	// RemoveMember revokes a membership, finally. The member's node, if any, is unregistered in the
	// same step. ErrNotFound, ErrNotAllowed if it was revoked before. Rings KeyMembers, and for the
	// node as UnregisterNode does.
	RemoveMember(ctx context.Context, peerID string) error
	// Member finds a member, including a revoked one. ErrNotFound.
	Member(ctx context.Context, peerID string) (Member, error)
	// ListMembers lists all members, including revoked ones, oldest first.
	ListMembers(ctx context.Context) ([]Member, error)
}

// These are the keys of the bell.

// KeyPendingTask is rung when a task becomes pending.
func KeyPendingTask() wake.Key { return wake.Key{Kind: "pending-task"} }

// KeyTask is rung when the task ends, or is pending again because its claim expired.
func KeyTask(taskID uint64) wake.Key { return wake.Key{Kind: "task", ID: taskID} }

// KeyRun is rung when the run's status changes.
func KeyRun(runID uint64) wake.Key { return wake.Key{Kind: "run", ID: runID} }

// KeyRunEnds is rung when any run ends.
func KeyRunEnds() wake.Key { return wake.Key{Kind: "run-ends"} }

// KeyNode is rung when an instruction for the node becomes Waiting.
func KeyNode(nodeID uint64) wake.Key { return wake.Key{Kind: "node", ID: nodeID} }

// KeyReplies is rung when an answer of the run may have changed: a reply is complete, or an
// instruction was dropped or has expired.
func KeyReplies(runID uint64) wake.Key { return wake.Key{Kind: "replies", ID: runID} }

// KeyNodes is rung when any node's status changes.
func KeyNodes() wake.Key { return wake.Key{Kind: "nodes"} }

// KeyLogs is rung when log text of the run was added.
func KeyLogs(runID uint64) wake.Key { return wake.Key{Kind: "logs", ID: runID} }

// KeyMembers is rung when the membership or the tokens change.
func KeyMembers() wake.Key { return wake.Key{Kind: "members"} }

// KeyDeadline is rung when a deadline was added that comes before all others.
func KeyDeadline() wake.Key { return wake.Key{Kind: "deadline"} }
