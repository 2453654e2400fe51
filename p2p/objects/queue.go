package objects

import "errors"

// taken is an item that a worker may receive.
type taken struct {
	*item
	partial Partial
}

// take waits for items that src may be asked for and nobody else receives. It returns
// none when the worker should end.
func (j *fetch) take(src *source) []taken {
	for j.ctx.Err() == nil {
		items, waitFor, changed := j.pick(src)
		switch {
		case items != nil:
			if batch := j.claim(items); len(batch) > 0 {
				return batch
			}
			j.release(src)
		case waitFor != nil:
			if batch := j.await(waitFor); len(batch) > 0 {
				return batch
			}
			j.release(src)
		case changed != nil:
			select {
			case <-changed:
			case <-j.ctx.Done():
			}
			j.leaveIdle(src)
		default:
			return nil
		}
	}
	return nil
}

// pick takes a fair share of the queue, or else one of the items that another fetch
// receives, or else says when to look again. All nil: the source is out.
func (j *fetch) pick(src *source) (items []*item, waitFor *item, changed <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if src.out != nil {
		return nil, nil, nil
	}
	if src.onTrial {
		src.idle++
		return nil, nil, j.changed
	}
	share := min(len(j.queue)/(src.streams*len(j.sources))+1, maxWants)
	if !src.proven {
		share = 1
	}
	j.rarestFirstLocked(src)
	rest := j.queue[:0]
	for _, it := range j.queue {
		if len(items) < share && it.usable(src) {
			if it.pinned {
				it.pinnedTo = src
			}
			items = append(items, it)
		} else {
			rest = append(rest, it)
		}
	}
	j.queue = rest
	if items != nil {
		src.onTrial = !src.proven
		return items, nil, nil
	}
	for i, it := range j.shared {
		if it.usable(src) {
			j.shared = append(j.shared[:i], j.shared[i+1:]...)
			src.onTrial = !src.proven
			return nil, it, nil
		}
	}
	src.idle++
	return nil, nil, j.changed
}

func (j *fetch) leaveIdle(src *source) {
	j.mu.Lock()
	defer j.mu.Unlock()
	src.idle--
}

// claim makes sure that no other fetch receives the items. It does not wait for one: who
// waits while holding others may wait for ever.
func (j *fetch) claim(items []*item) []taken {
	var batch []taken
	for _, it := range items {
		partial, err := j.store.TryPartial(j.ctx, it.id)
		switch {
		case errors.Is(err, ErrBusy):
			j.mu.Lock()
			j.shared = append(j.shared, it)
			j.wakeLocked()
			j.mu.Unlock()
		case err != nil:
			j.end(err)
		case partial == nil:
			j.finish(it)
		default:
			batch = append(batch, taken{it, partial})
		}
	}
	return batch
}

// await waits for the other fetch that receives an item, holding nothing.
func (j *fetch) await(it *item) []taken {
	j.wait(+1)
	partial, err := j.store.Partial(j.ctx, it.id)
	j.wait(-1)
	switch {
	case err != nil:
		j.end(err) // without effect if the fetch has ended
	case partial == nil:
		j.finish(it)
	default:
		return []taken{{it, partial}}
	}
	return nil
}

// giveBack returns items that were not received in full. What was received is kept,
// unless it has to come from one source alone and that one failed.
func (j *fetch) giveBack(src *source, batch []taken, failed bool) {
	if len(batch) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	src.onTrial = false
	items := make([]*item, 0, len(batch)+len(j.queue))
	for _, t := range batch {
		end := t.partial.Close
		if t.pinned && failed {
			end, t.pinnedTo = t.partial.Discard, nil
		}
		if err := end(); err != nil {
			j.end(err)
		}
		items = append(items, t.item)
	}
	j.queue = append(items, j.queue...) // what was begun goes first
	j.wakeLocked()
}

// release ends the trial of a source for now, without a verdict.
func (j *fetch) release(src *source) {
	j.mu.Lock()
	defer j.mu.Unlock()
	src.onTrial = false
	j.wakeLocked()
}

func (j *fetch) wakeLocked() {
	close(j.changed)
	j.changed = make(chan struct{})
}
