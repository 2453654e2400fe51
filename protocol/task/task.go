package task

import (
	"errors"
	"time"
)

// Types of tasks that Rhizome starts. The type is also the name of the executable.
const (
	TypeServerApp = "flwr-serverapp"
	TypeClientApp = "flwr-clientapp"
)

// Status of a task or of a run (whose status is that of its primary task).
type Status string

// The states of a task, see the drawing in the package comment.
const (
	Pending  Status = "pending"
	Starting Status = "starting"
	Running  Status = "running"
	Finished Status = "finished"
)

// SubStatus says how a finished task ended; it is empty before.
type SubStatus string

// The ways in which a task ends.
const (
	Completed SubStatus = "completed"
	Failed    SubStatus = "failed"
	Stopped   SubStatus = "stopped"
)

// Task is one process to be started for a run. The time of a state that was not reached is zero.
type Task struct {
	ID      uint64
	RunID   uint64
	Type    string
	FABHash string
	// MessageID is the instruction that a ClientApp task answers; empty on a SuperLink.
	MessageID string

	Status    Status
	SubStatus SubStatus
	Details   string

	PendingAt, StartingAt, RunningAt, FinishedAt time.Time
	// ActiveUntil is when a starting or running task is given up unless it shows signs of life.
	ActiveUntil time.Time
}

// Errors that callers branch on.
var (
	// ErrUnknownToken: no unfinished task has this token (401, code 1008).
	ErrUnknownToken = errors.New("unknown or expired task token")
	// ErrNotFound: there is no such task.
	ErrNotFound = errors.New("task not found")
	// ErrFinished: the task has ended already.
	ErrFinished = errors.New("task is finished")
	// ErrNotClaimed: the task is pending, for instance because its claim has expired.
	ErrNotClaimed = errors.New("task is not claimed")
	// ErrNotRunning: only a running task can be completed.
	ErrNotRunning = errors.New("task is not running")
)

// SilentDetails is the detail of a task that showed no sign of life for HeartbeatLimit.
const SilentDetails = "No heartbeat received from the task"
