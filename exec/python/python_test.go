package python

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// write makes an executable shell script.
func write(t *testing.T, path, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func venv(t *testing.T) string {
	root := t.TempDir()
	write(t, filepath.Join(root, "bin", "python"), "exit 3")
	write(t, filepath.Join(root, "bin", "flwr-clientapp"), "")
	if err := os.WriteFile(filepath.Join(root, "pyvenv.cfg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestFind(t *testing.T) {
	root := venv(t)
	outside := t.TempDir() // an interpreter whose scripts are elsewhere
	write(t, filepath.Join(outside, "python3"), "echo "+filepath.Join(root, "bin"))
	t.Setenv("PATH", outside+":"+os.Getenv("PATH"))

	for _, setting := range []string{
		root, root + "/", root + "/bin", root + "/bin/python", outside + "/python3", "python3",
	} {
		env, err := Find(t.Context(), setting)
		if err != nil {
			t.Errorf("Find(%q): %v", setting, err)
			continue
		}
		if env.Scripts != filepath.Join(root, "bin") || env.Root != root {
			t.Errorf("Find(%q) = %+v", setting, env)
		}
		if path, err := env.Program("flwr-clientapp"); err != nil || path != root+"/bin/flwr-clientapp" {
			t.Errorf("Program = %q, %v", path, err)
		}
		if !slices.Contains(env.Environ(), "VIRTUAL_ENV="+root) {
			t.Errorf("Environ = %v", env.Environ())
		}
	}
}

func TestFindInPath(t *testing.T) {
	root := venv(t)
	t.Setenv("PATH", root+"/bin")
	env, err := Find(t.Context(), "")
	if err != nil || env.Environ() != nil {
		t.Fatalf("Find = %+v, %v", env, err)
	}
	if path, err := env.Program("flwr-clientapp"); err != nil || path != root+"/bin/flwr-clientapp" {
		t.Errorf("Program = %q, %v", path, err)
	}
}

func TestMistakesAreExplained(t *testing.T) {
	root, empty := venv(t), t.TempDir()
	broken := filepath.Join(t.TempDir(), "python3")
	write(t, broken, "exit 1")
	for setting, want := range map[string]string{
		empty:               "is it the folder of a venv?",
		empty + "/none":     "no such file",
		"no-such-python-99": "give an interpreter",
		broken:              "scripts folder",
	} {
		if _, err := Find(t.Context(), setting); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Find(%q) = %v, want %q in it", setting, err, want)
		}
	}
	env, err := Find(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := env.Program("flwr-serverapp"); err == nil || !strings.Contains(err.Error(), "is flwr installed") {
		t.Errorf("Program of a missing one: %v", err)
	}
	t.Setenv("PATH", empty)
	if _, err := (Env{}).Program("flwr-serverapp"); err == nil || !strings.Contains(err.Error(), "--python") {
		t.Errorf("Program not in PATH: %v", err)
	}
}
