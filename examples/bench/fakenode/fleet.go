package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// Timing of the stock SuperNode.
const (
	requestLimit      = 30 * time.Second
	heartbeatInterval = 30 // seconds, as told to the SuperLink; sent about every 20 s
	askAgain          = time.Second
)

// fleet imitates stock SuperNodes of Flower 1.41: they register, activate, send heartbeats, poll
// for messages, pull every object of a message, confirm it, and push the reply. Each has a TCP
// connection of its own. All of this costs CPU time in this process, so look at that first.
type fleet struct {
	options
	stats *stats
	addr  string
	poll  time.Duration
}

func (f *fleet) flags(set *flag.FlagSet) {
	set.StringVar(&f.addr, "addr", "127.0.0.1:8000", "host:port of the SuperLink")
	set.DurationVar(&f.poll, "poll", 3*time.Second, "poll interval when idle")
}

func (f *fleet) prepare(o options, stats *stats) error {
	f.options, f.stats = o, stats
	return nil
}

// fleetNode is one node of a fleet.
type fleetNode struct {
	*fleet
	client *http.Client
	key    *ecdsa.PrivateKey
	pem    []byte
	self   *flwrpb.Node
	runs   map[uint64]bool

	mu      sync.Mutex
	stamp   string
	sig     string
	stampAt time.Time
}

// run is one node's life.
func (f *fleet) run(ctx context.Context, _ int) {
	n, err := f.newNode()
	if err != nil {
		f.stats.took("start", 0, err)
		return
	}
	if !n.register(ctx) {
		return
	}
	f.stats.change(+1)
	var beating sync.WaitGroup
	defer beating.Wait()
	beating.Go(func() {
		for sleep(ctx, time.Duration(17500+mrand.IntN(5000))*time.Millisecond) {
			beat := &flwrpb.SendNodeHeartbeatRequest{Node: n.self, HeartbeatInterval: heartbeatInterval}
			_ = n.call(ctx, flwr.PathFleetSendNodeHeartbeat, beat, &flwrpb.SendNodeHeartbeatResponse{})
		}
	})
	for ctx.Err() == nil {
		var pulled flwrpb.PullMessagesResponse
		err := n.call(ctx, flwr.PathFleetPullMessages, &flwrpb.PullMessagesRequest{Node: n.self}, &pulled)
		if err == nil && len(pulled.GetMessagesList()) > 0 {
			if n.handle(ctx, pulled.GetMessagesList()[0], pulled.GetMessageObjectTrees()[0]) == nil {
				f.stats.replied()
			}
			continue
		}
		sleep(ctx, f.poll)
	}
}

func (f *fleet) newNode() (*fleetNode, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader) // as the stock SuperNode does
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &fleetNode{
		fleet:  f,
		client: &http.Client{Transport: &http.Transport{}, Timeout: requestLimit},
		key:    key,
		pem:    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		runs:   map[uint64]bool{},
	}, nil
}

// register tries until it succeeds; it returns false if ctx has ended.
func (n *fleetNode) register(ctx context.Context) bool {
	for n.call(ctx, flwr.PathFleetRegisterNode, &flwrpb.RegisterNodeFleetRequest{PublicKey: n.pem}, &flwrpb.RegisterNodeFleetResponse{}) != nil {
		if !sleep(ctx, askAgain) {
			return false
		}
	}
	for {
		var active flwrpb.ActivateNodeResponse
		req := &flwrpb.ActivateNodeRequest{PublicKey: n.pem, HeartbeatInterval: heartbeatInterval}
		if n.call(ctx, flwr.PathFleetActivateNode, req, &active) == nil {
			n.self = &flwrpb.Node{NodeId: active.GetNodeId()}
			return true
		}
		if !sleep(ctx, askAgain) {
			return false
		}
	}
}

// handle takes one message and answers it.
func (n *fleetNode) handle(ctx context.Context, msg *flwrpb.Message, tree *flwrpb.ObjectTree) error {
	run, id := msg.GetMetadata().GetRunId(), msg.GetMetadata().GetMessageId()
	if err := n.learn(ctx, run); err != nil {
		return err
	}
	ids, err := object.PostOrder(tree, object.DefaultTreeLimits)
	if err != nil {
		return err
	}
	objects := make(map[string][]byte, len(ids)+1)
	for _, id := range ids {
		if objects[id], err = n.pull(ctx, run, id); err != nil {
			return err
		}
	}
	confirm := &flwrpb.ConfirmMessageReceivedRequest{Node: n.self, RunId: run, MessageObjectId: id}
	if err := n.call(ctx, flwr.PathFleetConfirmMessageReceived, confirm, &flwrpb.ConfirmMessageReceivedResponse{}); err != nil {
		return err
	}
	if !sleep(ctx, n.delay) {
		return ctx.Err()
	}
	return n.reply(ctx, msg, tree, objects)
}

// learn does what a SuperNode does once per run.
func (n *fleetNode) learn(ctx context.Context, run uint64) error {
	if n.runs[run] {
		return nil
	}
	var known flwrpb.GetRunResponse
	if err := n.call(ctx, flwr.PathFleetGetRun, &flwrpb.GetRunRequest{Node: n.self, RunId: run}, &known); err != nil {
		return err
	}
	fab := &flwrpb.GetFabRequest{Node: n.self, RunId: run, HashStr: known.GetRun().GetFabHash()}
	if err := n.call(ctx, flwr.PathFleetGetFAB, fab, &flwrpb.GetFabResponse{}); err != nil {
		return err
	}
	n.runs[run] = true
	return nil
}

func (n *fleetNode) pull(ctx context.Context, run uint64, id string) ([]byte, error) {
	for {
		var got flwrpb.PullObjectResponse
		if err := n.call(ctx, flwr.PathFleetPullObject, &flwrpb.PullObjectRequest{Node: n.self, RunId: run, ObjectId: id}, &got); err != nil {
			return nil, err
		}
		if got.GetObjectAvailable() {
			return got.GetObjectContent(), nil
		}
		if !sleep(ctx, askAgain) {
			return nil, ctx.Err()
		}
	}
}

// reply pushes the same content under new metadata.
func (n *fleetNode) reply(ctx context.Context, msg *flwrpb.Message, tree *flwrpb.ObjectTree, objects map[string][]byte) error {
	answer := &flwrpb.Message{Metadata: object.ReplyTo(msg.GetMetadata(), time.Now()), Content: []byte{}}
	answer.Metadata.SrcNodeId = n.self.GetNodeId()
	var children []string
	for _, child := range tree.GetChildren() {
		children = append(children, child.GetObjectId())
	}
	content, id, err := object.BuildMessage(answer, children...)
	if err != nil {
		return err
	}
	answer.Metadata.MessageId, objects[id] = id, content
	var pushed flwrpb.PushMessagesResponse
	err = n.call(ctx, flwr.PathFleetPushMessages, &flwrpb.PushMessagesRequest{
		Node: n.self, MessagesList: []*flwrpb.Message{answer},
		MessageObjectTrees:   []*flwrpb.ObjectTree{{ObjectId: id, Children: tree.GetChildren()}},
		ClientappRuntimeList: []float64{n.delay.Seconds()},
	}, &pushed)
	if err != nil {
		return err
	}
	for _, id := range pushed.GetObjectsToPush() {
		push := &flwrpb.PushObjectRequest{
			Node: n.self, RunId: answer.GetMetadata().GetRunId(), ObjectId: id,
			ObjectContent: objects[id], SessionId: pushed.GetSessionId(),
		}
		if err := n.call(ctx, flwr.PathFleetPushObject, push, &flwrpb.PushObjectResponse{}); err != nil {
			return err
		}
	}
	return nil
}

// call makes one request and counts it.
func (n *fleetNode) call(ctx context.Context, path string, req, res proto.Message) error {
	began := time.Now()
	err := n.post(ctx, path, req, res)
	if ctx.Err() == nil {
		n.stats.took(strings.TrimPrefix(path, flwr.PathFleet), time.Since(began), err)
	}
	return err
}

func (n *fleetNode) post(ctx context.Context, path string, msg, into proto.Message) error {
	body, err := proto.Marshal(msg)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := n.sign(req.Header); err != nil {
		return err
	}
	resp, err := n.client.Do(req)
	if err != nil {
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			return errors.New("timeout")
		}
		return errors.New("transport")
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return errors.New("body")
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return proto.Unmarshal(data, into)
}

// sign fills in the headers. One signature is used for 30 s, which saves CPU time on this side;
// the SuperLink has to verify it on every request.
func (n *fleetNode) sign(header http.Header) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.stampAt) > 30*time.Second {
		n.stampAt = time.Now()
		n.stamp = n.stampAt.UTC().Format("2006-01-02T15:04:05.000000+00:00")
		sum := sha256.Sum256([]byte(n.stamp))
		raw, err := ecdsa.SignASN1(rand.Reader, n.key, sum[:])
		if err != nil {
			return err
		}
		n.sig = base64.StdEncoding.EncodeToString(raw)
	}
	for key, value := range map[string]string{
		"content-type": flwr.TypeProtobuf, "accept": flwr.TypeProtobuf,
		"flwr-public-key": base64.StdEncoding.EncodeToString(n.pem),
		"flwr-timestamp":  n.stamp, "flwr-signature": n.sig,
		"flwr-package-name": "flwr", "flwr-package-version": "1.41.0",
		"flwr-component-name": "SuperNode",
	} {
		header.Set(key, value)
	}
	return nil
}
