package install

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var hash = strings.Repeat("0123456789abcdef", 4)

func folder(t *testing.T, home string) string {
	t.Helper()
	path := filepath.Join(home, "apps", "rhizome.quickstart.1.0.0.01234567")
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func enter(t *testing.T, g *Gate) *Turn {
	t.Helper()
	turn, err := g.Enter(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

// isHeld tells whether an app with the FAB has to wait now.
func isHeld(t *testing.T, g *Gate) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	turn, err := g.Enter(ctx, hash)
	if errors.Is(err, context.Canceled) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	turn.Close(false)
	return false
}

func TestSecondWaitsUntilTheFirstHasInstalled(t *testing.T) {
	home := t.TempDir()
	g := New(home, true)
	first := enter(t, g)
	entered := make(chan *Turn)
	go func() {
		turn, err := g.Enter(context.WithoutCancel(t.Context()), hash)
		if err != nil {
			t.Error(err)
		}
		entered <- turn
	}()
	path := folder(t, home)
	first.Output([]byte("something about " + path))
	if !isHeld(t, g) {
		t.Fatal("a second app may start during the installation")
	}
	first.Output([]byte("Successfully installed quickstart to " + path + "."))
	second := <-entered
	if isHeld(t, g) {
		t.Error("an app has to wait although the FAB is installed")
	}
	first.Close(false)
	second.Close(false)
	if isHeld(t, New(home, true)) {
		t.Error("the next SuperExec does not know that the FAB is installed")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("the installed app was removed: ", err)
	}
}

func TestGatesOfTwoSuperExecsShareAHome(t *testing.T) {
	home := t.TempDir()
	a, b := New(home, false), New(home, false)
	first := enter(t, a)
	entered := make(chan *Turn)
	go func() {
		turn, err := b.Enter(context.WithoutCancel(t.Context()), hash)
		if err != nil {
			t.Error(err)
		}
		entered <- turn
	}()
	folder(t, home)
	select {
	case <-entered:
		t.Fatal("the gate of another SuperExec let an app through")
	default:
	}
	first.Close(true) // it ended well without printing that it had installed
	(<-entered).Close(false)
}

func TestLeftoversAreRemovedOnlyFromOurOwnHome(t *testing.T) {
	for _, private := range []bool{true, false} {
		home := t.TempDir()
		path := folder(t, home)
		enter(t, New(home, private)).Close(false)
		if _, err := os.Stat(path); (err == nil) == private {
			t.Errorf("private %v: folder kept: %v", private, err == nil)
		}
	}
}

func TestFolderOfARunningAppStays(t *testing.T) {
	home := t.TempDir()
	path := folder(t, home)
	g := New(home, true)
	g.InUse(hash)
	enter(t, g).Close(false)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestFailedInstallationLetsTheNextTry(t *testing.T) {
	g := New(t.TempDir(), true)
	enter(t, g).Close(false)
	if g.isInstalled(hash) {
		t.Error("a failed installation counts as done")
	}
	enter(t, g).Close(false)
}

func TestOddHashesHoldNobodyUp(t *testing.T) {
	g := New(t.TempDir(), true)
	for _, odd := range []string{"", "abc", "../../../../etc/passwd", strings.ToUpper(hash)} {
		turn, err := g.Enter(t.Context(), odd)
		if err != nil {
			t.Fatal(err)
		}
		turn.Output([]byte("Successfully installed"))
		turn.Close(true)
	}
}
