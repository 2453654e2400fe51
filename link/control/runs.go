package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/fab"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func (a *api) startRun(ctx context.Context, req *flwrpb.StartRunRequest) (proto.Message, error) {
	if req.Federation != "" && req.Federation != state.FederationDefault {
		return nil, flwr.NewError(flwr.CodeFederationNotFound)
	}
	if req.AppSpec != "" {
		return nil, flwr.NewError(flwr.CodeInvalidAppSpec).WithExtra("Rhizome never calls Flower Hub: get the app and give its folder to flwr run.")
	}
	content := req.GetFab().GetContent()
	if len(content) > fab.MaxSize {
		// The client says "Failed to start run." when the response has no run id.
		log.Warn("an app bundle was refused because it is too large", "size", len(content), "most", fab.MaxSize)
		return &flwrpb.StartRunResponse{}, nil
	}
	if len(req.GetConnectorIds()) > 0 || len(req.GetConnectorRefs()) > 0 {
		return nil, flwr.NewError(flwr.CodeConnectorNotFound).WithExtra("Rhizome has no connectors.")
	}
	hash := object.Sum(content)
	if said := req.GetFab().GetHashStr(); said != "" && said != hash {
		return nil, invalidRun("The app bundle was damaged on the way: its hash is not the one that its sender gave.")
	}
	bundle, err := readBundle(content, req.OverrideConfig)
	if err != nil {
		return nil, err
	}
	if bundle.AgentApp != "" {
		return nil, noAgents(req.UserPrompt)
	}
	run, err := a.createRun(ctx, bundle, hash, content, req)
	if err != nil {
		return nil, err
	}
	log.Info("run is pending", "run", run.ID, "app", run.FABID, "version", run.FABVersion)
	return &flwrpb.StartRunResponse{
		RunId: proto.Uint64(run.ID), SeriesId: proto.Uint64(run.SeriesID), Federation: state.FederationDefault,
	}, nil
}

// readBundle checks the app, and that each override has a key that the app knows.
func readBundle(content []byte, overrides map[string]*flwrpb.Scalar) (fab.Bundle, error) {
	bundle, err := fab.Read(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return bundle, invalidRun("%v", err)
	}
	for _, key := range slices.Sorted(maps.Keys(overrides)) {
		if _, known := bundle.Config[key]; !known {
			return bundle, invalidRun("The app has no configuration key %.100q.", key)
		}
		if overrides[key].GetScalar() == nil {
			return bundle, invalidRun("The configuration key %.100q has no value.", key)
		}
	}
	return bundle, nil
}

func invalidRun(format string, args ...any) error {
	return flwr.NewError(flwr.CodeInvalidRunConfig).WithExtra(fmt.Sprintf(format, args...))
}

// noAgents refuses an AgentApp in the order of a stock SuperLink's checks.
func noAgents(userPrompt string) error {
	if strings.TrimSpace(userPrompt) == "" {
		return flwr.NewError(flwr.CodeUserPromptRequired)
	}
	return invalidRun("Rhizome does not run AgentApps.")
}

// createRun stores the bundle before the run that needs it.
func (a *api) createRun(ctx context.Context, bundle fab.Bundle, hash string, content []byte, req *flwrpb.StartRunRequest) (state.Run, error) {
	if err := a.putBundle(ctx, hash, content); err != nil {
		return state.Run{}, err
	}
	run, err := a.store.CreateRun(ctx, state.NewRun{
		SeriesID:       req.GetSeriesId(),
		TaskType:       task.TypeServerApp,
		FABID:          bundle.ID(),
		FABVersion:     bundle.Version,
		FABHash:        hash,
		OverrideConfig: req.OverrideConfig,
		Federation:     state.FederationDefault,
		AccountID:      state.AccountNone,
	})
	switch {
	case errors.Is(err, state.ErrNotFound):
		return run, flwr.NewError(flwr.CodeSeriesIDNotFound)
	case errors.Is(err, state.ErrTooMany):
		return run, flwr.NewError(flwr.CodeCreateRunFailed).WithExtra("There are too many unfinished runs; stop some of them.").WithCause(err)
	case err != nil:
		return run, fmt.Errorf("create a run: %w", err)
	}
	// An earlier run of the same app may have just ended and taken the bundle away. From here on
	// the new run holds it.
	if a.objects.Has(hash) {
		return run, nil
	}
	if err := a.putBundle(ctx, hash, content); err != nil {
		// The user will be told that the run was not started, so it must not stay pending.
		ended := a.store.FinishRun(context.WithoutCancel(ctx), run.ID, task.Failed, "its app bundle could not be stored")
		return run, errors.Join(err, ended)
	}
	return run, nil
}

func (a *api) putBundle(ctx context.Context, hash string, content []byte) error {
	if err := a.objects.Put(ctx, hash, int64(len(content)), bytes.NewReader(content)); err != nil {
		return fmt.Errorf("store app bundle %s: %w", hash, err)
	}
	return nil
}

func (a *api) listRuns(ctx context.Context, req *flwrpb.ListRunsRequest) (proto.Message, error) {
	res := &flwrpb.ListRunsResponse{RunDict: map[uint64]*flwrpb.Run{}, Now: state.ISOTime(a.now())}
	if req.RunId != nil {
		run, err := a.run(ctx, *req.RunId)
		if err != nil {
			return nil, err
		}
		res.RunDict[run.ID] = run.Proto()
		return res, nil
	}
	limit := uint64(defaultRuns)
	if req.Limit != nil {
		limit = min(*req.Limit, maxRuns)
	}
	if limit == 0 {
		return res, nil
	}
	runs, err := a.store.ListRuns(ctx, limit, min(req.GetSkip(), math.MaxInt64))
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	for _, run := range runs {
		res.RunDict[run.ID] = run.Proto()
	}
	return res, nil
}

func (a *api) stopRun(ctx context.Context, req *flwrpb.StopRunRequest) (proto.Message, error) {
	err := a.store.FinishRun(ctx, req.RunId, task.Stopped, "stopped by the user")
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil, flwr.NewError(flwr.CodeRunIDNotFound)
	case errors.Is(err, state.ErrRunFinished):
		return nil, flwr.NewError(flwr.CodeRunFinished)
	case err != nil:
		return nil, fmt.Errorf("stop run %d: %w", req.RunId, err)
	}
	log.Info("run was stopped by the user", "run", req.RunId)
	return &flwrpb.StopRunResponse{Success: true}, nil
}

// pullArtifacts answers as a stock SuperLink does: there is no store for artifacts.
func (a *api) pullArtifacts(context.Context, *flwrpb.PullArtifactsRequest) (proto.Message, error) {
	return nil, flwr.NewError(flwr.CodeNoArtifactProvider)
}

func (a *api) run(ctx context.Context, runID uint64) (state.Run, error) {
	run, err := a.store.Run(ctx, runID)
	if errors.Is(err, state.ErrNotFound) {
		return run, flwr.NewError(flwr.CodeRunIDNotFound)
	}
	if err != nil {
		return run, fmt.Errorf("look up run %d: %w", runID, err)
	}
	return run, nil
}
