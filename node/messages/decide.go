package messages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// ErrNotAllowed says that the site does not allow an app.
var ErrNotAllowed = errors.New("this site does not allow the app")

// Review asks the policy about the apps of all messages that wait for a ClientApp, or that
// one works on, unless it has decided about them before, and refuses what it does not allow.
// It is for messages of before a start with another policy.
func (o *Office) Review(ctx context.Context) error {
	pending, err := o.cfg.Store.Unallowed(ctx, o.cfg.Policy.Fingerprint())
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range pending {
		if err := o.review(ctx, m); err != nil {
			errs = append(errs, fmt.Errorf("decide about message %s of run %d: %w", m.MessageID, m.RunID, err))
		}
	}
	return errors.Join(errs...)
}

func (o *Office) review(ctx context.Context, m state.Instruction) error {
	run, err := o.cfg.Store.Run(ctx, m.RunID)
	if err == nil {
		err = o.mayRun(ctx, run)
	}
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil // dropped meanwhile
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrNotAllowed), errors.Is(err, ErrNotHere):
		return o.refuse(ctx, m.MessageID, m.RunID, err)
	}
	return err
}

// App is what the task may run: its run and the bytes of its bundle, which are those that the
// policy has allowed. Without its leave the task is answered for. ErrNotAllowed;
// state.ErrNotFound when the run was dropped.
func (o *Office) App(ctx context.Context, t task.Task) (run state.Run, bundle []byte, err error) {
	if run, err = o.cfg.Store.Run(ctx, t.RunID); err != nil {
		return state.Run{}, nil, err
	}
	if run.FABHash != t.FABHash {
		err = fmt.Errorf("%w: the task was made for bundle %s and its run has %s", ErrNotAllowed, t.FABHash, run.FABHash)
	} else {
		err = o.mayRun(ctx, run)
	}
	if errors.Is(err, ErrNotAllowed) {
		return state.Run{}, nil, errors.Join(err, o.refuse(ctx, t.MessageID, t.RunID, err))
	}
	if err != nil {
		return state.Run{}, nil, err
	}
	file, err := o.Open(ctx, run.ID, run.FABHash)
	if err != nil {
		return state.Run{}, nil, err
	}
	defer file.Close()
	bundle = make([]byte, file.Size())
	if _, err := io.ReadFull(file, bundle); err != nil {
		return state.Run{}, nil, fmt.Errorf("read app bundle %s: %w", run.FABHash, err)
	}
	if sum := sha256.Sum256(bundle); hex.EncodeToString(sum[:]) != run.FABHash {
		return state.Run{}, nil, fmt.Errorf("app bundle %s: %w", run.FABHash, objects.ErrCorrupt)
	}
	return run, bundle, nil
}

// refuse answers a message whose app may not run here.
func (o *Office) refuse(ctx context.Context, messageID string, runID uint64, why error) error {
	log.Warn("app is not allowed here", "run", runID, "message", messageID, "err", why)
	err := o.cfg.Store.Refuse(ctx, messageID, flwr.ErrorInvalidFAB, policy.Reason)
	if errors.Is(err, state.ErrAnswered) || errors.Is(err, state.ErrNotFound) {
		return nil // it came to its end meanwhile
	}
	return err
}

// mayRun asks the policy about a run and its bundle, once. ErrNotAllowed, also when the policy
// cannot tell; any other error says that it could not be asked now.
func (o *Office) mayRun(ctx context.Context, run state.Run) error {
	d, err := o.cfg.Store.Decision(ctx, run.ID, run.FABHash, o.cfg.Policy.Fingerprint())
	if errors.Is(err, state.ErrNotFound) {
		d, err = o.decide(ctx, run)
	}
	if err != nil {
		return err
	}
	if !d.Allowed {
		return fmt.Errorf("%w: %s: %s", ErrNotAllowed, d.Rule, d.Reason)
	}
	return nil
}

func (o *Office) decide(ctx context.Context, run state.Run) (state.Decision, error) {
	bundle, err := o.Open(ctx, run.ID, run.FABHash)
	if err != nil {
		return state.Decision{}, err
	}
	defer bundle.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(bundle, 0, bundle.Size())); err != nil {
		return state.Decision{}, fmt.Errorf("read app bundle %s: %w", run.FABHash, err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != run.FABHash {
		return state.Decision{}, fmt.Errorf("%w: bundle %s has other bytes on disk", ErrNotAllowed, run.FABHash)
	}
	says, err := o.cfg.Policy.Decide(ctx, policy.App{
		RunID: run.ID, Hash: run.FABHash, Bundle: bundle, Size: bundle.Size(), Verifications: run.Verifications,
	})
	if err != nil && ctx.Err() != nil {
		return state.Decision{}, context.Cause(ctx)
	}
	if err != nil {
		return state.Decision{}, fmt.Errorf("%w: the policy cannot tell: %w", ErrNotAllowed, err)
	}
	log.Info("the site has decided about an app", "run", run.ID, "bundle", run.FABHash, "allowed", says.Allowed, "rule", says.Rule, "reason", says.Reason)
	return o.cfg.Store.Decide(ctx, state.Decision{
		RunID: run.ID, FABHash: run.FABHash, Policy: o.cfg.Policy.Fingerprint(),
		Allowed: says.Allowed, Rule: says.Rule, Reason: says.Reason,
	})
}
