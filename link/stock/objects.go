package stock

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// pullObject gives an object of a run. It does not matter which node asks: an id cannot be guessed,
// so a node that knows it was given it or has the content; the run must have been given the object
// too. An object that is on its way is waited for.
func (s *server) pullObject(w http.ResponseWriter, r *http.Request, node state.Node, req *flwrpb.PullObjectRequest) error {
	s.lives(r.Context(), &node)
	run, err := s.running(r.Context(), req.GetRunId(), flwr.CodeRunStatusNotAllowed)
	if err != nil {
		return err
	}
	var found bool
	var file objects.File
	err = flwr.Hold(w, r, func(ctx context.Context) (err error) {
		found, file, err = s.cfg.Office.Open(ctx, run.ID, req.GetObjectId(), objectHold)
		return err
	})
	if err != nil {
		return err
	}
	if file == nil {
		return flwr.WriteResponse(w, r, &flwrpb.PullObjectResponse{ObjectFound: found})
	}
	defer file.Close()
	if err := flwr.WriteObject(w, file, file.Size()); err != nil {
		return err
	}
	s.traffic.Sent(run.ID, file.Size())
	s.lives(r.Context(), &node) // sending may have taken long
	return nil
}

// pushObject stores an object of a reply.
func (s *server) pushObject(w http.ResponseWriter, r *http.Request) error {
	node, err := s.authenticate(r)
	if err != nil {
		return err
	}
	push, err := flwr.ReadObjectPush(r, flwr.MaxObject)
	if err != nil {
		return err
	}
	if err := isFrom(node, push.Head); err != nil {
		return err
	}
	s.lives(r.Context(), &node)
	run, err := s.running(r.Context(), push.Head.GetRunId(), flwr.CodeRunStatusNotAllowed)
	if err != nil {
		// A refusal in the middle of a request may be lost in a reset of the connection, and the client
		// would repeat the push forever.
		return errors.Join(err, push.Finish())
	}
	content := &livingReader{from: push.Content, lives: func() { s.lives(r.Context(), &node) }}
	stored, err := s.cfg.Office.StoreObject(r.Context(), run.ID, push.Head.GetObjectId(), push.Size, content)
	switch {
	case errors.Is(err, objects.ErrTooLarge), errors.Is(err, objects.ErrBadID):
		stored = false // as for an object that nobody is waiting for: trying again would not help
	case err != nil:
		return err
	}
	if err := push.Finish(); err != nil {
		return err
	}
	if stored {
		s.traffic.Received(run.ID, push.Size)
	}
	return flwr.WriteResponse(w, r, &flwrpb.PushObjectResponse{Stored: stored})
}

// livingReader takes each piece that arrives for a sign of life.
type livingReader struct {
	from  io.Reader
	lives func()
}

func (l *livingReader) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	if n > 0 {
		l.lives()
	}
	return n, err
}
