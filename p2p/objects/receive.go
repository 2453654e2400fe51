package objects

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/p2p/objects/exchangepb"
	"github.com/rhizome-fl/rhizome/p2p/streams"
)

// errFresh ends a stream that is as it should be, in favour of a fresh one: a better path
// has come up, or the rest of the answer is of no use.
var errFresh = errors.New("a fresh stream is needed")

// work is one worker of a source: a stream at a time, with pauses after failures.
func (j *fetch) work(src *source) {
	pause := retry.Between(firstPause, maxPause)
	for {
		batch := j.take(src)
		if len(batch) == 0 {
			return
		}
		r := &receiving{fetch: j, src: src, batch: batch}
		err := r.stream()
		j.giveBack(src, r.batch, err != nil && !errors.Is(err, errFresh))
		if r.came {
			pause.Reset()
		}
		switch next := pause.Next(); {
		case err == nil, errors.Is(err, errFresh):
		case errors.Is(err, errSlow):
			j.rest(src, err, maxPause)
		case src.Direct:
			j.rest(src, err, min(next, busyPause))
		default:
			j.rest(src, err, next)
		}
	}
}

// rest waits after a failure, until the peer connects at the latest.
func (j *fetch) rest(src *source, why error, pause time.Duration) {
	if j.ctx.Err() != nil {
		return
	}
	log.Debug("transfer was interrupted", "peer", src.Peer, "run", j.runID, "pause", pause, "err", why)
	j.mu.Lock()
	src.last = why
	j.mu.Unlock()
	connects, stop := j.net.connects(src.Peer)
	defer stop()
	retry.SleepUnless(j.ctx, pause, connects)
}

// receiving is one stream. What it has dealt with is taken off the batch.
type receiving struct {
	*fetch
	src   *source
	batch []taken
	asked []*item // the batch as it was
	came  bool    // something useful
	buf   []byte
	pace  pace
}

// stream asks for the batch and receives as much of it as the other end sends.
func (r *receiving) stream() error {
	stream, err := r.net.open(r.ctx, r.src.Provider)
	if err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	stop := context.AfterFunc(r.ctx, func() { _ = stream.Reset() })
	defer stop()
	for _, t := range r.batch {
		r.asked = append(r.asked, t.item)
	}
	stopPace := r.keepPace(stream)
	err = r.exchange(stream)
	stopPace()
	if err != nil {
		_ = stream.Reset()
		if r.pace.slow.Load() {
			return errSlow
		}
		return err
	}
	return stream.Close()
}

// exchange is the dialogue of exchange.proto.
func (r *receiving) exchange(stream network.Stream) error {
	lively := streams.Moving{Stream: stream, Reads: idleLimit, Writes: idleLimit}
	wants := r.wants()
	if err := writeRequest(lively, request{runID: r.runID, wants: wants, budget: r.opts.Chunk}); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	if err := stream.CloseWrite(); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	buf := blocks.get()
	defer blocks.put(buf)
	r.buf = *buf
	in := bufio.NewReaderSize(lively, headBuffer)
	var later []taken // worth asking for again
	defer func() { r.batch = append(later, r.batch...) }()
	var failure error
	for _, w := range wants {
		a, err := readAnswer(in, w, r.alive)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		t := r.batch[0]
		switch a.status {
		case exchangepb.Answer_OK:
			if err := r.receive(stream, in, w, a); err != nil {
				return err
			}
			continue
		case exchangepb.Answer_NOT_FOUND:
			r.dismiss(ErrNotFound, a.detail)
		case exchangepb.Answer_REFUSED:
			r.dismiss(ErrRefused, a.detail)
		case exchangepb.Answer_FAILED:
			failure = fmt.Errorf("object %s: the peer failed: %s", t.id, a.detail)
			later, r.batch = append(later, t), r.batch[1:]
		case exchangepb.Answer_BUSY:
			return fmt.Errorf("the peer is busy: %s", a.detail)
		default:
			return fmt.Errorf("%w: status %v", errProtocol, a.status)
		}
	}
	if failure == nil && !r.came {
		return fmt.Errorf("%w: the peer ended the stream without an answer", errProtocol)
	}
	return failure
}

// wants is the batch as a request.
func (r *receiving) wants() []want {
	r.mu.Lock()
	defer r.mu.Unlock()
	wants := make([]want, len(r.batch))
	for i, t := range r.batch {
		wants[i] = want{id: t.id, offset: t.partial.Offset(), suspect: t.suspect == r.src}
	}
	return wants
}

// dismiss gives up on the first item of the batch at this source.
func (r *receiving) dismiss(why error, detail string) {
	t := r.batch[0]
	r.came = true
	if detail != "" {
		why = fmt.Errorf("%w: %s", why, detail)
	}
	r.refused(t.item, r.src, why)
	r.giveBack(r.src, r.batch[:1], true)
	r.batch = r.batch[1:]
}

// receive takes the content of an answer to the first item of the batch.
func (r *receiving) receive(stream network.Stream, in io.Reader, w want, a answer) error {
	t := r.batch[0]
	if a.size < w.offset {
		return r.contradicted(t, w.offset)
	}
	if err := t.partial.Expect(r.ctx, a.size); err != nil {
		if errors.Is(err, ErrTooLarge) {
			r.dismiss(err, "")
			return errFresh
		}
		r.end(err)
		return err
	}
	r.mu.Lock()
	t.credit(r.src, w.offset)
	r.mu.Unlock()
	if err := r.copy(stream, in, t, a.length); err != nil {
		return err
	}
	if t.partial.Offset() < a.size {
		return nil // the budget is spent; the stream ends here
	}
	r.came = true
	r.batch = r.batch[1:]
	r.commit(t, r.src)
	return nil
}

// contradicted deals with a source whose object is smaller than what came already: either
// what came or the source is wrong.
func (r *receiving) contradicted(t taken, offset int64) error {
	r.batch = r.batch[1:]
	if err := t.partial.Discard(); err != nil {
		r.end(err)
		return err
	}
	r.mu.Lock()
	t.credit(r.src, offset)
	r.mu.Unlock()
	r.wrong(t.item, r.src)
	return errFresh
}

// copy moves length bytes from the stream to the disk.
func (r *receiving) copy(stream network.Stream, in io.Reader, t taken, length int64) error {
	for sinceLook := 0; length > 0; {
		block := r.buf[:min(length, int64(len(r.buf)))]
		n, readErr := io.ReadFull(in, block)
		if n > 0 {
			if _, err := t.partial.Write(block[:n]); err != nil {
				r.end(err)
				return err
			}
			r.came = true
			r.pace.bytes.Add(int64(n))
			r.alive()
			r.opts.Meter.Received(r.src.Peer, r.runID, n)
		}
		if readErr != nil {
			return fmt.Errorf("receive object %s: %w", t.id, readErr)
		}
		length -= int64(n)
		if sinceLook += n; sinceLook >= lookForPath && length > 0 {
			if sinceLook = 0; r.net.outdated(stream) {
				return errFresh
			}
		}
	}
	return nil
}
