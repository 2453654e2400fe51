package sqldb

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// crashEnv turns the test binary into a process that writes to a database until it is killed,
// and prints the key of each row that was reported as written.
const crashEnv = "SQLITEDB_TEST_CRASH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		writeUntilKilled(path)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func writeUntilKilled(path string) {
	db, err := Open(path, schema(kvTable), Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var wg sync.WaitGroup
	for writer := range 8 {
		wg.Go(func() {
			for k := writer; ; k += 8 {
				if err := db.Write(context.Background(), put(k, k)); err != nil {
					fmt.Println(err)
					return
				}
				fmt.Println(k)
			}
		})
	}
	wg.Wait()
}

// TestKilledProcessLosesNothing kills writers and checks that what they were told is there.
func TestKilledProcessLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var written []int
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var k int
		if _, err := fmt.Sscan(lines.Text(), &k); err != nil {
			t.Error(lines.Text())
			break
		}
		written = append(written, k)
		if len(written) == 2000 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if len(written) < 2000 {
		t.Fatalf("only %d rows were written", len(written))
	}
	db := open(t, path, schema(kvTable), Options{})
	err = db.Read(t.Context(), func(tx *sql.Tx) error {
		for _, k := range written {
			var v int
			if err := tx.QueryRow(`SELECT v FROM kv WHERE k = ?`, k).Scan(&v); err != nil {
				return fmt.Errorf("row %d: %w", k, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
