package guard

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// app is the ServerApp of a run, played by the test: it holds the run's token and says
// whatever it likes.
type app struct {
	*api
	run  uint64
	fab  string
	node uint64
}

// acquire takes the next task as a SuperExec does, and starts it.
func (a *api) acquire(node uint64) *app {
	a.t.Helper()
	var got flwrpb.AcquireTaskResponse
	if status, body := a.call(flwr.PathAcquireTask, &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp}}, &got); status != 200 || got.GetToken() == "" {
		a.t.Fatalf("acquire-task: %d %s", status, body)
	}
	one := &app{api: a.as(got.GetToken()), run: got.GetTask().GetRunId(), node: node}
	var input flwrpb.PullTaskInputResponse
	if status, body := one.call(flwr.PathPullTaskInput, &flwrpb.PullTaskInputRequest{}, &input); status != 200 {
		a.t.Fatalf("pull-task-input: %d %s", status, body)
	}
	one.fab = input.GetFab().GetHashStr()
	return one
}

// message makes an instruction of a run with one record, and returns its objects by id.
func (p *app) message(run uint64, body string) (*flwrpb.Message, *flwrpb.ObjectTree, map[string][]byte) {
	p.t.Helper()
	record, recordID, err := object.Build("ConfigRecord", nil, []byte(body))
	if err != nil {
		p.t.Fatal(err)
	}
	msg := &flwrpb.Message{Content: []byte{}, Metadata: &flwrpb.Metadata{
		RunId: run, SrcNodeId: flwr.NodeSuperLink, DstNodeId: p.node, MessageType: "query", GroupId: "1",
		CreatedAt: float64(time.Now().UnixMicro()) / 1e6, Ttl: 3600,
	}}
	content, id, err := object.BuildMessage(msg, recordID)
	if err != nil {
		p.t.Fatal(err)
	}
	msg.Metadata.MessageId = id
	tree := &flwrpb.ObjectTree{ObjectId: id, Children: []*flwrpb.ObjectTree{{ObjectId: recordID}}}
	return msg, tree, map[string][]byte{id: content, recordID: record}
}

func (p *app) push(msg *flwrpb.Message, tree *flwrpb.ObjectTree) *flwrpb.PushAppMessagesResponse {
	p.t.Helper()
	var res flwrpb.PushAppMessagesResponse
	status, body := p.call(flwr.PathPushMessages, &flwrpb.PushAppMessagesRequest{
		MessagesList: []*flwrpb.Message{msg}, MessageObjectTrees: []*flwrpb.ObjectTree{tree},
	}, &res)
	if status != 200 {
		p.t.Fatalf("push-messages: %d %s", status, body)
	}
	return &res
}

func (p *app) pushObject(run uint64, id string, content []byte) (status int, stored bool) {
	p.t.Helper()
	var res flwrpb.PushObjectResponse
	status, _ = p.call(flwr.PathPushObject, &flwrpb.PushObjectRequest{
		Node: &flwrpb.Node{NodeId: flwr.NodeSuperLink}, RunId: run, ObjectId: id, ObjectContent: content,
	}, &res)
	return status, res.GetStored()
}

// pull asks for an object and returns everything that came back within a second.
func (p *app) pull(run uint64, id string) (status int, body []byte) {
	p.t.Helper()
	patient := *p.api
	patient.wait = time.Second
	return patient.call(flwr.PathPullObject, &flwrpb.PullObjectRequest{
		Node: &flwrpb.Node{NodeId: flwr.NodeSuperLink}, RunId: run, ObjectId: id,
	}, nil)
}

// The token of one run's task gives access to nothing of another run: not its messages, its
// objects, its logs or its end, not even by naming something whose id it knows. The token
// dies with its task.
func TestTaskTokenReachesItsRunOnly(t *testing.T) {
	w := world.New(t)
	_, address := w.Link("--isolation", "process")
	w.Nodes(1, "--isolation", "process")
	f := w.Flwr(address)
	probe := w.Probe("ok")
	f.Submit(probe.Dir, "-c", probe.Config())
	f.Submit(w.Probe("another app").Dir)
	node := number(t, f.NodeIDs()[0])
	base := newAPI(t, "http://"+address)
	victim, thief := base.acquire(node), base.acquire(node)

	const secret = "the weights of the victim's run"
	msg, tree, objects := victim.message(victim.run, secret)
	for _, id := range victim.push(msg, tree).GetObjectsToPush() {
		if status, stored := victim.pushObject(victim.run, id, objects[id]); status != 200 || !stored {
			t.Fatalf("the victim's push: %d", status)
		}
	}
	weights := tree.GetChildren()[0].GetObjectId()
	if status, body := victim.pull(victim.run, weights); status != 200 || !bytes.Contains(body, []byte(secret)) {
		t.Fatalf("the victim cannot read its own object: %d %q", status, body)
	}

	steal := func(how string) {
		t.Helper()
		for _, id := range []string{weights, msg.GetMetadata().GetMessageId(), victim.fab} {
			for _, run := range []uint64{thief.run, victim.run} {
				if status, body := thief.pull(run, id); bytes.Contains(body, []byte(secret)) || len(body) > 200 {
					// Answers without an object are a few bytes long.
					t.Errorf("%s: object %.8s as of run %d: %d and %d bytes", how, id, run, status, len(body))
				}
			}
		}
	}
	steal("knowing the id")
	naming, namingTree, own := thief.message(thief.run, "harmless")
	namingTree.Children = append(namingTree.Children, &flwrpb.ObjectTree{ObjectId: weights}, &flwrpb.ObjectTree{ObjectId: victim.fab})
	asked := thief.push(naming, namingTree).GetObjectsToPush()
	if !slices.Contains(asked, weights) || !slices.Contains(asked, victim.fab) {
		t.Errorf("the thief need not send what it names: %v", asked)
	}
	for id, content := range own {
		thief.pushObject(thief.run, id, content)
	}
	steal("naming it in a tree")
	if _, stored := thief.pushObject(thief.run, weights, []byte(strings.Repeat("x", len(objects[weights])))); stored {
		t.Error("other bytes of the same length are taken for the object")
	}
	steal("pushing other bytes under its id")

	if ids := thief.push(first(victim.message(victim.run, "forged"))).GetMessageIds(); len(ids) != 1 || ids[0] != "" {
		t.Errorf("the thief has sent a message in the victim's run: %v", ids)
	}
	var pulled flwrpb.PullAppMessagesResponse
	quick := *thief.api
	quick.wait = 7 * time.Second
	if status, _ := quick.call(flwr.PathPullMessages, &flwrpb.PullAppMessagesRequest{MessageIds: []string{msg.GetMetadata().GetMessageId()}}, &pulled); status == 200 {
		for _, m := range pulled.GetMessagesList() {
			if m.GetError() == nil {
				t.Errorf("the thief gets a message of the victim's run: %v", m)
			}
		}
	}
	thief.call(flwr.PathConfirmMessageReceived, &flwrpb.ConfirmMessageReceivedRequest{RunId: victim.run, MessageObjectId: msg.GetMetadata().GetMessageId()}, nil)
	thief.call(flwr.PathPushLogs, &flwrpb.PushLogsRequest{RunId: victim.run, Logs: []string{"forged line\n"}}, nil)
	if status, _ := thief.call(flwr.PathPushTaskOutput, &flwrpb.PushTaskOutputRequest{SubStatus: "completed"}, nil); status != 200 {
		t.Errorf("the thief could not end its own task: %d", status)
	}
	if got := f.Status(fmt.Sprint(victim.run)); got != "running" {
		t.Errorf("the victim's run is %s", got)
	}

	if status, body := victim.call(flwr.PathPushTaskOutput, &flwrpb.PushTaskOutputRequest{SubStatus: "completed"}, nil); status != 200 {
		t.Errorf("the victim could not end its task: %d %s", status, body)
	}
	if log := f.Run("log", fmt.Sprint(victim.run), "test", "--show"); strings.Contains(log, "forged line") {
		t.Error("the thief writes to the victim's log")
	}

	// The thief's task has ended, and its token with it.
	for path, req := range map[string]*flwrpb.PullTaskInputRequest{flwr.PathPullTaskInput: {}, flwr.PathGetNodes: {}, flwr.PathSendTaskHeartbeat: {}} {
		if status, body := thief.call(path, req, nil); status != http.StatusUnauthorized {
			t.Errorf("%s with the token of a task that has ended: %d %s", path, status, body)
		}
	}
	if status, body := base.as("not-a-token").call(flwr.PathGetNodes, &flwrpb.GetNodesRequest{}, nil); status != http.StatusUnauthorized {
		t.Errorf("a made-up token: %d %s", status, body)
	}
	if status, body := base.call(flwr.PathGetNodes, &flwrpb.GetNodesRequest{}, nil); status != http.StatusUnauthorized {
		t.Errorf("no token: %d %s", status, body)
	}
}

func first(msg *flwrpb.Message, tree *flwrpb.ObjectTree, _ map[string][]byte) (*flwrpb.Message, *flwrpb.ObjectTree) {
	return msg, tree
}

// A remote observer reads the status with the command, and can do nothing else.
func TestObserverFromOutside(t *testing.T) {
	w := world.New(t)
	w.Link("--isolation", "process")
	w.Nodes(1, "--isolation", "process")
	ticket := w.Ticket("--role", "observer")
	var seen linkadmin.Status
	w.JSON(&seen, "status", "--data", w.Path("me"), "--join", ticket, "--json")
	if len(seen.Nodes) != 1 || len(seen.Members) != 0 || seen.Nodes[0].PeerID != "" {
		t.Errorf("the observer sees %d nodes, %d members, peer id %q", len(seen.Nodes), len(seen.Members), seen.Nodes[0].PeerID)
	}
	if out := w.Command("status", "--data", w.Path("me")); !strings.Contains(out, "node0") {
		t.Errorf("the second time, without the ticket:\n%s", out)
	}
	for role, args := range map[string][]string{
		"proxy": {"proxy", "--data", w.Path("other"), "--http", w.FreeAddress(), "--join", ticket},
		"node":  {"node", "--data", w.Path("another"), "--isolation", "process", "--join", ticket},
	} {
		if stdout, stderr, code := w.Try(args...); code != 1 || !strings.Contains(stderr, "observer") {
			t.Errorf("an observer's ticket is good for a %s: %d\n%s%s", role, code, stdout, stderr)
		}
	}
}

// secureFlwr runs the stock command against a link with TLS, with or without a token in its
// credential store.
func secureFlwr(t *testing.T, w *world.World, address, ca, token string, args ...string) (out string, ok bool) {
	t.Helper()
	home := t.TempDir()
	config := fmt.Sprintf("[superlink]\ndefault = \"test\"\n\n[superlink.test]\naddress = %q\nroot-certificates = %q\n", address, ca)
	write(t, home+"/config.toml", []byte(config))
	if token != "" {
		credentials := make(map[string]string) // JSON is YAML
		for key, value := range map[string]string{"authn-type": "oidc", "oidc-access-token": token, "oidc-refresh-token": "none"} {
			credentials["flower.account-auth."+address+"."+key] = base64.StdEncoding.EncodeToString([]byte(value))
		}
		text, err := json.Marshal(credentials)
		if err != nil {
			t.Fatal(err)
		}
		write(t, home+"/credentials.yaml", text)
	}
	cmd := exec.CommandContext(t.Context(), w.Stock("flwr"), args...)
	cmd.Env = w.Env("FLWR_HOME="+home, "NO_COLOR=1", "COLUMNS=250")
	text, err := cmd.CombinedOutput()
	return string(text), err == nil
}

// On an address that others can reach, the Control API requires TLS and a token; the stock
// command supports both.
func TestControlAPIBeyondLoopback(t *testing.T) {
	w := world.New(t)
	cert, key := certificate(t, w)
	const token = "0123456789abcdef0123456789abcdef"
	write(t, w.Path("token"), []byte(token+"\n"))
	everywhere := fmt.Sprintf("0.0.0.0:%d", w.FreePort())
	for want, args := range map[string][]string{
		"--tls-cert":           {},
		"--control-token-file": {"--tls-cert", cert, "--tls-key", key},
	} {
		args = append([]string{"link", "--data", w.Path("link"), "--isolation", "process", "--listen", "none", "--http", everywhere}, args...)
		if stdout, stderr, code := w.Try(args...); code != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: %d\n%s%s", args, code, stdout, stderr)
		}
	}
	_, port, _ := strings.Cut(everywhere, ":")
	w.Link("--isolation", "process", "--http", everywhere, "--tls-cert", cert, "--tls-key", key, "--control-token-file", w.Path("token"))
	address := "127.0.0.1:" + port
	if out, ok := secureFlwr(t, w, address, cert, "", "ls", "test"); ok {
		t.Errorf("flwr ls without a token:\n%s", out)
	}
	if out, ok := secureFlwr(t, w, address, cert, token[1:], "ls", "test"); ok {
		t.Errorf("flwr ls with a wrong token:\n%s", out)
	}
	if out, ok := secureFlwr(t, w, address, cert, token, "ls", "test"); !ok {
		t.Errorf("flwr ls with the token:\n%s", out)
	}
	if out, ok := secureFlwr(t, w, address, cert, token, "run", w.Probe("ok").Dir, "test"); !ok || !strings.Contains(out, "Successfully started run") {
		t.Errorf("flwr run with the token:\n%s", out)
	}
	if _, err := os.Stat(w.Path("link", "state.db")); err != nil {
		t.Error(err)
	}
}
