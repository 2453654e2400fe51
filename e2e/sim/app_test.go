package sim

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/node/apps"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// errAppGone ends an app that no longer owns its task.
var errAppGone = errors.New("the task is over")

// superExec takes tasks from a node and runs an app for each. It and its apps outlive each of
// the node's lives.
func (n *nodeSide) superExec(ctx context.Context) {
	for ctx.Err() == nil {
		one, err := n.await(ctx)
		if err != nil {
			return
		}
		acquiring, cancel := context.WithCancel(ctx)
		release := context.AfterFunc(one.ctx, cancel)
		res, err := one.host.AcquireTask(acquiring, &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeClientApp}})
		release()
		cancel()
		if err != nil || res.GetTask() == nil || one.alive() != nil {
			sleep(ctx, 50*time.Millisecond)
			continue
		}
		n.w.ledger.started(n.id, res.GetTask().GetRunId())
		if n.w.dice.oneIn(30) {
			continue // the SuperExec died with the task that it was given
		}
		a := &app{node: n, token: res.GetToken()}
		n.w.apps.Go(func() { a.run(ctx) })
	}
}

// app is one ClientApp process.
type app struct {
	node  *nodeSide
	token string
}

func (a *app) run(ctx context.Context) {
	dice := a.node.w.dice
	dies := dice.n(60) // after this many steps, if there are that many
	var reply *answer
	steps := []func(context.Context, *apps.Host, task.Task) error{
		a.takeInput,
		func(ctx context.Context, h *apps.Host, t task.Task) (err error) {
			reply, err = a.takeMessage(ctx, h, t)
			return err
		},
		a.beat,
		func(ctx context.Context, h *apps.Host, t task.Task) error { return reply.push(ctx, h, t) },
		a.finish,
	}
	for i, step := range steps {
		if i == dies {
			a.die(ctx)
			return
		}
		if a.call(ctx, step) != nil {
			return
		}
		sleep(ctx, dice.upTo(2*time.Second))
	}
}

// call makes a request, and repeats it while the node is down.
func (a *app) call(ctx context.Context, request func(context.Context, *apps.Host, task.Task) error) error {
	for {
		one, err := a.node.await(ctx)
		if err != nil {
			return err
		}
		t, err := one.host.Authenticate(one.ctx, a.token)
		if err == nil {
			err = request(one.ctx, one.host, t)
		}
		switch {
		case one.alive() != nil: // no answer came back
		case errors.Is(err, task.ErrUnknownToken), errors.Is(err, errAppGone):
			return errAppGone
		case err == nil:
			return nil
		default:
			// Any other error either deserves another try or ends the app.
			if a.node.w.dice.oneIn(4) {
				return err
			}
		}
		sleep(ctx, a.node.w.dice.upTo(3*time.Second))
	}
}

func (a *app) takeInput(ctx context.Context, h *apps.Host, t task.Task) error {
	_, err := h.PullTaskInput(ctx, t)
	return err
}

func (a *app) beat(ctx context.Context, h *apps.Host, t task.Task) error {
	alive, err := h.Heartbeat(ctx, t)
	if err == nil && !alive {
		return errAppGone
	}
	return err
}

func (a *app) finish(ctx context.Context, h *apps.Host, t task.Task) error {
	return h.PushTaskOutput(ctx, t, &flwrpb.PushTaskOutputRequest{SubStatus: string(task.Completed), Context: []byte("what the app knows")})
}

// die ends the process; its SuperExec reports that, unless it has died as well.
func (a *app) die(ctx context.Context) {
	if a.node.w.dice.oneIn(2) {
		return
	}
	_ = a.call(ctx, func(ctx context.Context, h *apps.Host, t task.Task) error {
		return h.ReportExit(ctx, t, task.Exit{Code: -1, Signal: "SIGKILL"})
	})
}

// answer is a reply with its objects.
type answer struct {
	msg     *flwrpb.Message
	tree    *flwrpb.ObjectTree
	objects map[string][]byte
}

// takeMessage reads the instruction and makes a reply, which is different each time.
func (a *app) takeMessage(ctx context.Context, h *apps.Host, t task.Task) (*answer, error) {
	res, err := h.PullMessages(ctx, t, &flwrpb.PullAppMessagesRequest{})
	if err != nil {
		return nil, err
	}
	if len(res.GetMessages()) != 1 {
		return nil, errAppGone
	}
	var instruction flwrpb.Message
	if err := proto.Unmarshal(res.GetMessages()[0], &instruction); err != nil {
		return nil, err
	}
	md := object.ReplyTo(instruction.GetMetadata(), time.Now())
	return newAnswer(md)
}

// newAnswer makes a message with some content.
func newAnswer(md *flwrpb.Metadata) (*answer, error) {
	record, recordID, err := object.Build("ConfigRecord", nil, []byte(rand.Text()))
	if err != nil {
		return nil, err
	}
	msg := &flwrpb.Message{Metadata: md, Content: []byte{}}
	content, id, err := object.BuildMessage(msg, recordID)
	if err != nil {
		return nil, err
	}
	md.MessageId = id
	tree := &flwrpb.ObjectTree{ObjectId: id, Children: []*flwrpb.ObjectTree{{ObjectId: recordID}}}
	return &answer{msg: msg, tree: tree, objects: map[string][]byte{recordID: record, id: content}}, nil
}

// push sends the reply and those of its objects that the node lacks.
func (r *answer) push(ctx context.Context, h *apps.Host, t task.Task) error {
	raw, err := proto.Marshal(r.msg)
	if err != nil {
		return err
	}
	tree, err := proto.Marshal(r.tree)
	if err != nil {
		return err
	}
	res, err := h.PushMessages(ctx, t, &flwrpb.RawPushAppMessagesRequest{Messages: [][]byte{raw}, Trees: [][]byte{tree}})
	if err != nil {
		return err
	}
	for _, id := range res.GetObjectsToPush() {
		content := r.objects[id]
		push := runtimeapi.ObjectPush{RunID: t.RunID, ObjectID: id, Size: int64(len(content))}
		if _, err := h.PushObject(ctx, t, push, bytes.NewReader(content)); err != nil {
			return err
		}
	}
	return nil
}
