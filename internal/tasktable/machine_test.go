package tasktable

import (
	"cmp"
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

// modelTask is a task as drawn in the package comment.
type modelTask struct {
	id       uint64
	created  time.Time
	status   task.Status
	sub      task.SubStatus
	token    string
	deadline time.Time
}

// TestTasksFollowTheDrawing makes random calls to the table and to a model.
func TestTasksFollowTheDrawing(t *testing.T) {
	db := openTable(t)
	rapid.Check(t, func(rt *rapid.T) {
		in(rt, db, func(tx *sql.Tx) error { _, err := tx.Exec(`DELETE FROM tasks`); return err })
		now := start
		var tasks []*modelTask
		pick := func(rt *rapid.T) *modelTask {
			if len(tasks) == 0 {
				rt.Skip("no task")
			}
			return rapid.SampledFrom(tasks).Draw(rt, "task")
		}
		do := func(f func(tx *sql.Tx)) { in(rt, db, func(tx *sql.Tx) error { f(tx); return nil }) }
		want := func(rt *rapid.T, what string, got, want error) {
			if !errors.Is(got, want) {
				rt.Fatalf("%s: %v, want %v", what, got, want)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"create": func(rt *rapid.T) {
				do(func(tx *sql.Tx) {
					got, err := Create(tx, now, New{RunID: 5, Type: task.TypeClientApp})
					want(rt, "Create", err, nil)
					tasks = append(tasks, &modelTask{id: got.ID, created: now, status: task.Pending})
				})
			},
			"claim": func(rt *rapid.T) {
				var oldest *modelTask
				for _, m := range tasks {
					if m.status == task.Pending && (oldest == nil || cmp.Or(m.created.Compare(oldest.created), cmp.Compare(int64(m.id), int64(oldest.id))) < 0) {
						oldest = m
					}
				}
				do(func(tx *sql.Tx) {
					got, token, ok, err := Claim(tx, now, []string{task.TypeClientApp})
					want(rt, "Claim", err, nil)
					if ok != (oldest != nil) || (ok && got.ID != oldest.id) {
						rt.Fatalf("claimed %v %d, want %+v", ok, got.ID, oldest)
					}
					if ok {
						oldest.status, oldest.token, oldest.deadline = task.Starting, token, now.Add(task.ClaimLimit)
					}
				})
			},
			"activate": func(rt *rapid.T) {
				m := pick(rt)
				do(func(tx *sql.Tx) {
					_, err := Activate(tx, now, m.id)
					want(rt, "Activate", err, map[task.Status]error{task.Pending: task.ErrNotClaimed, task.Finished: task.ErrFinished}[m.status])
					if err == nil {
						m.status, m.deadline = task.Running, laterOf(m.deadline, now.Add(task.HeartbeatLimit))
					}
				})
			},
			"heartbeat": func(rt *rapid.T) {
				m := pick(rt)
				do(func(tx *sql.Tx) {
					alive, err := Heartbeat(tx, now, m.id)
					want(rt, "Heartbeat", err, nil)
					if alive != (m.token != "") {
						rt.Fatalf("heartbeat %v of a %s task", alive, m.status)
					}
					if alive {
						m.deadline = laterOf(m.deadline, now.Add(task.HeartbeatLimit))
					}
				})
			},
			"requeue": func(rt *rapid.T) {
				m := pick(rt)
				do(func(tx *sql.Tx) {
					_, err := Requeue(tx, m.id)
					if m.token == "" {
						want(rt, "Requeue", err, task.ErrNotFound)
						return
					}
					want(rt, "Requeue", err, nil)
					m.status, m.token = task.Pending, ""
				})
			},
			"finish": func(rt *rapid.T) {
				m := pick(rt)
				sub := rapid.SampledFrom([]task.SubStatus{task.Completed, task.Failed, task.Stopped}).Draw(rt, "sub")
				do(func(tx *sql.Tx) {
					_, err := Finish(tx, now, m.id, sub, "")
					switch {
					case m.status == task.Finished:
						want(rt, "Finish", err, task.ErrFinished)
					case sub == task.Completed && m.status != task.Running:
						want(rt, "Finish", err, task.ErrNotRunning)
					default:
						want(rt, "Finish", err, nil)
						m.status, m.sub, m.token = task.Finished, sub, ""
					}
				})
			},
			"time": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(1, 70e6).Draw(rt, "us")) * time.Microsecond)
				do(func(tx *sql.Tx) {
					requeued, failed, err := Expire(tx, now)
					want(rt, "Expire", err, nil)
					for _, m := range tasks {
						expired := m.token != "" && !m.deadline.After(now)
						if got := has(requeued, m.id); got != (expired && m.status == task.Starting) {
							rt.Fatalf("requeued %v: %+v", got, m)
						}
						if got := has(failed, m.id); got != (expired && m.status == task.Running) {
							rt.Fatalf("failed %v: %+v", got, m)
						}
						switch {
						case expired && m.status == task.Starting:
							m.status, m.token = task.Pending, ""
						case expired:
							m.status, m.sub, m.token = task.Finished, task.Failed, ""
						}
					}
				})
			},
			"": func(rt *rapid.T) { do(func(tx *sql.Tx) { compare(rt, tx, tasks) }) },
		})
	})
}

// compare compares everything that can be seen.
func compare(rt *rapid.T, tx *sql.Tx, tasks []*modelTask) {
	var next time.Time
	for _, m := range tasks {
		got, err := Get(tx, m.id)
		if err != nil || got.Status != m.status || got.SubStatus != m.sub {
			rt.Fatalf("task is %s %s (%v), want %+v", got.Status, got.SubStatus, err, m)
		}
		if m.token == "" {
			continue
		}
		if byToken, err := ByToken(tx, m.token); err != nil || byToken != got {
			rt.Fatalf("by token: %+v, %v", byToken, err)
		}
		if next.IsZero() || m.deadline.Before(next) {
			next = m.deadline
		}
	}
	if got, err := NextDeadline(tx); err != nil || !got.Equal(next) {
		rt.Fatalf("next deadline %v (%v), want %v", got, err, next)
	}
	if byRun, err := ByRun(tx, 5); err != nil || len(byRun) != len(tasks) {
		rt.Fatalf("%d tasks in the run (%v), want %d", len(byRun), err, len(tasks))
	}
}

func has(tasks []task.Task, id uint64) bool {
	return slices.ContainsFunc(tasks, func(t task.Task) bool { return t.ID == id })
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
