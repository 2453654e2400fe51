package messages

import "context"

// job is one message, or one bundle, on its way in.
type job struct {
	runID  uint64
	cancel context.CancelFunc
	done   chan struct{}
}

// begin runs work as a job, unless there already is one of this name, and then reports its end;
// by then the name is free again. It returns false if there are too many jobs.
func (o *Office) begin(name string, runID uint64, work func(context.Context) error, end func(error)) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, dup := o.jobs[name]; dup || o.ctx.Err() != nil {
		return true
	}
	if len(o.jobs) >= maxJobs {
		return false
	}
	ctx, cancel := context.WithCancel(o.ctx)
	j := &job{runID: runID, cancel: cancel, done: make(chan struct{})}
	o.jobs[name] = j
	go func() {
		defer close(j.done)
		defer cancel()
		err := work(ctx)
		o.mu.Lock()
		delete(o.jobs, name)
		o.mu.Unlock()
		end(err)
	}()
	return true
}

// endJobs cancels the jobs that match and waits until they have ended.
func (o *Office) endJobs(match func(*job) bool) {
	o.mu.Lock()
	var waiting []*job
	for _, j := range o.jobs {
		if match(j) {
			j.cancel()
			waiting = append(waiting, j)
		}
	}
	o.mu.Unlock()
	for _, j := range waiting {
		<-j.done
	}
}
