package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// writer lets one job after another work on the one connection that writes, and commits
// them in groups. There is no goroutine behind it: each job runs on its caller's, and the
// last of those standing in line commits for all.
//
//	          turn taken, no batch            others are in line
//	(waiting) ──────────────► (job in batch) ──────────────────► (waits for done)
//	                               │ nobody is, or batch is full      ▲
//	                               ▼                                  │
//	                          (commits the batch, calls after) ───────┘
//
// A job that stands in line must take its turn, even if its context has ended in the meantime:
// that is what allows a job to leave the commit to the next.
type writer struct {
	db *sql.DB
	// turn is held (a value is in it) by whoever uses the fields below.
	turn    chan struct{}
	waiting atomic.Int64
	closed  atomic.Bool // written while holding turn
	batch   *batch
}

// batch is a transaction that several jobs share.
type batch struct {
	tx    *sql.Tx
	began time.Time
	jobs  int
	after []func()
	// broken is why the transaction can no longer be committed.
	broken error
	// done is closed after the commit or its failure; err may be read then.
	done chan struct{}
	err  error
}

func newWriter(db *sql.DB) *writer {
	return &writer{db: db, turn: make(chan struct{}, 1)}
}

func (w *writer) do(ctx context.Context, job func(*sql.Tx) error, committed func()) error {
	w.waiting.Add(1)
	w.turn <- struct{}{}
	w.waiting.Add(-1)
	b, jobErr, err := w.take(ctx, job, committed)
	if err != nil {
		return err
	}
	// A job that failed waits too: it may have failed because of what others in the batch
	// did, which is true only once it is committed.
	<-b.done
	if b.err != nil {
		return b.err
	}
	return jobErr
}

// take uses a turn for one job. err means that the job did not run.
func (w *writer) take(ctx context.Context, job func(*sql.Tx) error, committed func()) (b *batch, jobErr, err error) {
	defer w.leave() // even if the job panics: that is its caller's problem, not the others'
	if w.closed.Load() {
		return nil, nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("waiting to write: %w", err)
	}
	if w.batch == nil {
		tx, err := w.db.BeginTx(context.WithoutCancel(ctx), nil)
		if err != nil {
			return nil, nil, fmt.Errorf("begin to write: %w", err)
		}
		w.batch = &batch{tx: tx, began: time.Now(), done: make(chan struct{})}
	}
	return w.batch, w.batch.run(job, committed), nil
}

// leave commits if nobody in line could do so, and gives up the turn.
func (w *writer) leave() {
	b := w.batch
	if b != nil && (w.waiting.Load() == 0 || b.full() || b.broken != nil) {
		w.batch = nil
		b.finish()
	}
	<-w.turn
}

func (w *writer) isClosed() bool { return w.closed.Load() }

// close finishes the open batch and closes the connection after those of the readers: the
// last one to be closed checkpoints the log.
func (w *writer) close(readers func() error) error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	if w.closed.Swap(true) {
		return nil
	}
	if b := w.batch; b != nil {
		w.batch = nil
		b.finish()
	}
	return errors.Join(readers(), w.db.Close())
}

func (b *batch) full() bool {
	return b.jobs >= maxBatchJobs || time.Since(b.began) >= maxBatchAge
}

// run gives the job a savepoint, so that a failure undoes only its own work.
func (b *batch) run(job func(*sql.Tx) error, committed func()) error {
	if _, err := b.tx.Exec(`SAVEPOINT job`); err != nil {
		b.broken = err
		return err
	}
	b.jobs++
	finished := false
	defer func() {
		if !finished { // the job panicked
			b.undo(errors.New("a job that shared the transaction panicked"))
		}
	}()
	err := job(b.tx)
	finished = true
	if err != nil {
		b.undo(err)
		return err
	}
	if _, err := b.tx.Exec(`RELEASE job`); err != nil {
		b.broken = err
		return err
	}
	if committed != nil {
		b.after = append(b.after, committed)
	}
	return nil
}

// undo rolls back to the state before the job. Some errors (disk full, I/O) make SQLite roll
// back the whole transaction; then there is no savepoint, and the batch is lost.
func (b *batch) undo(cause error) {
	if _, err := b.tx.Exec(`ROLLBACK TO job`); err != nil {
		b.broken = cause
		return
	}
	if _, err := b.tx.Exec(`RELEASE job`); err != nil {
		b.broken = cause
	}
}

// finish ends the transaction and tells all those that wait for it.
func (b *batch) finish() {
	defer close(b.done)
	if b.broken != nil {
		_ = b.tx.Rollback() // SQLite has already done it, or the connection is of no use
		b.err = fmt.Errorf("write: %w", b.broken)
		return
	}
	if err := b.tx.Commit(); err != nil {
		b.err = fmt.Errorf("commit: %w", err)
		return
	}
	for _, committed := range b.after {
		committed()
	}
}
