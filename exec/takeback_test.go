package exec

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

// A SuperExec that dies between a claim and the start of the process must not make its host
// believe that the app has failed: for a ServerApp that would be the end of a whole run.
func TestTaskThatWasNeverStartedIsNotReportedAsFailed(t *testing.T) {
	h := newHost(t, false)
	s := newSuperexec(t, h, `echo $$ > "${0%/*}/up$token"; exit 0`)
	apps := filepath.Join(s.cfg.DataDir, "apps")
	if err := os.MkdirAll(apps, 0o700); err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(apps)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.begin(launchName(11, "old"), "old", record{TaskID: 11, RunID: 7, Type: task.TypeClientApp}); err != nil {
		t.Fatal(err)
	}
	s.start()
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	h.give(11) // the claim has expired
	if r := h.nextReport(); r.token != "11" || r.exit.Code != 0 {
		t.Errorf("reported: %+v, want the end of the second launch only", r)
	}
}
