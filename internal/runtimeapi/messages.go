package runtimeapi

import (
	"context"
	"net/http"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func (s *server) pushMessages(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.RawPushAppMessagesRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxMessages); err != nil {
		return err
	}
	res, err := s.host.PushMessages(r.Context(), t, req)
	return reply(w, r, res, err)
}

func (s *server) pullMessages(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PullAppMessagesRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxMessages); err != nil {
		return err
	}
	var res *flwrpb.RawPullAppMessagesResponse
	err := hold(w, r, func(ctx context.Context) (err error) {
		res, err = s.host.PullMessages(ctx, t, req)
		return err
	})
	return reply(w, r, res, err)
}

func (s *server) confirm(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.ConfirmMessageReceivedRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxRequest); err != nil {
		return err
	}
	err := s.host.ConfirmMessageReceived(r.Context(), t, req)
	return reply(w, r, &flwrpb.ConfirmMessageReceivedResponse{}, err)
}

func (s *server) pushObject(w http.ResponseWriter, r *http.Request, t task.Task) error {
	push, err := flwr.ReadObjectPush(r, flwr.MaxObject)
	if err != nil {
		return err
	}
	stored, err := s.host.PushObject(r.Context(), t, ObjectPush{
		NodeID:    push.Head.GetNode().GetNodeId(),
		RunID:     push.Head.GetRunId(),
		ObjectID:  push.Head.GetObjectId(),
		SessionID: push.Head.GetSessionId(),
		Size:      push.Size,
	}, push.Content)
	if err == nil {
		err = push.Finish()
	}
	return reply(w, r, &flwrpb.PushObjectResponse{Stored: stored}, err)
}

func (s *server) pullObject(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PullObjectRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxRequest); err != nil {
		return err
	}
	var object Object
	err := hold(w, r, func(ctx context.Context) (err error) {
		object, err = s.host.PullObject(ctx, t, req)
		return err
	})
	if err != nil {
		return err
	}
	if object.Content == nil {
		return flwr.WriteResponse(w, r, &flwrpb.PullObjectResponse{ObjectFound: object.Found})
	}
	defer object.Content.Close()
	return flwr.WriteObject(w, object.Content, object.Size)
}
