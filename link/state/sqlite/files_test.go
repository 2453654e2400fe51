package sqlite

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// writeGolden makes TestOldFiles write the file of a schema version that does not have one yet:
//
//	go test ./link/state/sqlite -run TestOldFiles -write-golden state-v2.db.gz
var writeGolden = flag.String("write-golden", "", "file below testdata to write with the schema as it is now")

// goldenClock is when everything in the golden files happened.
var goldenClock = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func atGoldenClock() time.Time { return goldenClock }

// TestOldFiles opens a file of every schema version that was ever released and checks that what was
// put there is still there.
func TestOldFiles(t *testing.T) {
	if *writeGolden != "" {
		writeGoldenFile(t, filepath.Join("testdata", filepath.Base(*writeGolden)))
	}
	files, err := filepath.Glob("testdata/*.db.gz")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files: ", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := openAt(t, unzip(t, file))
			checkGolden(t, s)
			if _, err := s.Expire(t.Context(), goldenClock.Add(time.Second)); err != nil {
				t.Error(err)
			}
		})
	}
}

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{Now: atGoldenClock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// fillGolden puts something into every table. Never change what it does: the old files contain it.
func fillGolden(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(s.CreateToken(ctx, state.JoinToken{ID: "token", SecretHash: []byte("hash"), Role: join.RoleNode, MaxUses: 3}))
	ok(s.AddMember(ctx, state.Member{PeerID: "peer", Role: join.RoleNode, Name: "member", AddedBy: "admin"}))
	node, err := s.RegisterNode(ctx, state.Node{PeerID: "peer", PublicKey: []byte("pem"), Name: "node"})
	ok(err)
	ok(s.ActivateNode(ctx, node.ID, 30*time.Second, goldenClock.Add(time.Minute), false))
	run, err := s.CreateRun(ctx, state.NewRun{TaskType: task.TypeServerApp, FABID: "pub/app", FABVersion: "1.0.0", FABHash: strings.Repeat("ab", 32)})
	ok(err)
	_, _, _, err = s.ClaimTask(ctx, []string{task.TypeServerApp})
	ok(err)
	ok(s.ActivateTask(ctx, run.PrimaryTask.ID))
	ok(s.AppendLogs(ctx, run.ID, goldenClock, []string{"hello\n"}))
	for _, id := range []string{"answered", "open"} {
		refused, err := s.InsertInstructions(ctx, []state.Message{{ID: id, RunID: run.ID, NodeID: node.ID, State: state.Waiting,
			Proto: []byte("proto"), Tree: []byte("tree"), CreatedAt: float64(goldenClock.Unix()), TTL: 3600}})
		ok(errors.Join(err, errors.Join(refused...)))
	}
	ok(s.InsertReply(ctx, state.Message{ID: "reply", RunID: run.ID, NodeID: node.ID, ReplyTo: "answered", State: state.Waiting,
		Proto: []byte("reply proto"), CreatedAt: float64(goldenClock.Unix()), TTL: 3600}, time.Second))
}

func checkGolden(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	runs, err := s.ListRuns(ctx, 0, 0)
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	run := runs[0]
	if run.FABID != "pub/app" || run.PrimaryTask.Status != task.Running || run.ClientAppRuntime != time.Second || !run.PrimaryTask.PendingAt.Equal(goldenClock) {
		t.Errorf("run: %+v", run)
	}
	if text, _, _, err := s.Logs(ctx, run.ID, 0); text != "hello\n" || err != nil {
		t.Errorf("log: %q, %v", text, err)
	}
	if has, err := s.RunHasObject(ctx, run.ID, strings.Repeat("ab", 32)); !has || err != nil {
		t.Errorf("object: %v, %v", has, err)
	}
	answers, err := s.Answers(ctx, run.ID, []string{"answered", "open"})
	if err != nil || answers[0].Kind != state.Replied || string(answers[0].Reply.Proto) != "reply proto" || answers[1].Kind != state.NoAnswerYet {
		t.Errorf("answers: %+v, %v", answers, err)
	}
	node, err := s.NodeByPeer(ctx, "peer")
	if err != nil || node.Name != "node" || node.Status != state.NodeOnline {
		t.Errorf("node: %+v, %v", node, err)
	}
	if m, err := s.Member(ctx, "peer"); err != nil || m.NodeID != node.ID || m.Name != "member" {
		t.Errorf("member: %+v, %v", m, err)
	}
	if tokens, err := s.ListTokens(ctx); err != nil || len(tokens) != 1 || tokens[0].MaxUses != 3 {
		t.Errorf("tokens: %+v, %v", tokens, err)
	}
}

func writeGoldenFile(t *testing.T, file string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openAt(t, path)
	fillGolden(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(content)
	if err := errors.Join(err, w.Close(), os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, packed.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func unzip(t *testing.T, file string) (path string) {
	t.Helper()
	packed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNewerFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openAt(t, path)
	err := s.write(t.Context(), func(c *change) error {
		_, err := c.tx.Exec(`INSERT INTO schema_main (version_id, is_applied) VALUES (9999, 1)`)
		return err
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, sqldb.ErrNewer) || !strings.Contains(err.Error(), "newer rhizome") {
		t.Errorf("error: %v", err)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	path := unzip(t, "testdata/state-v1.db.gz")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := 4096; page+4096 <= len(content); page += 4096 {
		torn := bytes.Clone(content)
		clear(torn[page : page+4096])
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Options{})
		if err == nil {
			_ = s.Close()
		}
		if !errors.Is(err, sqldb.ErrCorrupt) {
			t.Errorf("torn at %d: %v", page, err)
		}
	}
}

// TestHotStatementsUseIndexes keeps frequent statements from reading whole tables.
func TestHotStatementsUseIndexes(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "state.db"))
	for _, query := range []string{
		unfinishedRuns,
		`SELECT seq FROM instructions WHERE node_id = ? AND state = 'waiting' AND replied = 0 AND expires_at > ? ORDER BY seq LIMIT ?`,
		`SELECT seq FROM instructions WHERE node_id = ? AND replied = 0`,
		`SELECT DISTINCT run_id FROM instructions WHERE node_id = ? AND replied = 0`,
		`DELETE FROM instructions WHERE expires_at <= ?`,
		`DELETE FROM instructions WHERE run_id = ?`,
		`UPDATE instructions SET state = 'waiting' WHERE lease_until > 0 AND lease_until <= ? AND state = 'leased'`,
		`UPDATE instructions SET state = 'delivered' WHERE message_id` + inList,
		`SELECT 1 FROM instructions i JOIN nodes n ON n.node_id = i.node_id LEFT JOIN replies r ON r.instruction = i.seq AND r.complete = 1 WHERE i.message_id` + inList,
		`UPDATE nodes SET status = 'offline' WHERE status = 'online' AND online_until <= ?`,
		`SELECT EXISTS (SELECT 1 FROM nodes WHERE public_key = ? OR peer_id = ?)`,
		`SELECT object_id, EXISTS (SELECT 1 FROM run_objects o WHERE o.object_id = mine.object_id AND o.run_id <> mine.run_id) FROM run_objects mine WHERE run_id = ? LIMIT ?`,
		`SELECT 1 FROM tasks WHERE status = 'pending' AND type IN (SELECT value FROM json_each(?)) ORDER BY pending_at, task_id LIMIT 1`,
		`SELECT 1 FROM tasks WHERE token_hash = ?`,
	} {
		args := make([]any, strings.Count(query, "?"))
		for i := range args {
			args[i] = "[]"
		}
		err := s.read(t.Context(), func(tx *sql.Tx) error {
			return each(tx, func(scan func(...any) error) error {
				var id, parent, unused int
				var detail string
				if err := scan(&id, &parent, &unused, &detail); err != nil {
					return err
				}
				full := strings.HasPrefix(detail, "SCAN") && !strings.Contains(detail, "INDEX tasks_") &&
					!strings.Contains(detail, "json_each") && !strings.Contains(detail, "CONSTANT ROW")
				if full {
					t.Errorf("%s\n\t%s", query, detail)
				}
				return nil
			}, `EXPLAIN QUERY PLAN `+query, args...)
		})
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
}
