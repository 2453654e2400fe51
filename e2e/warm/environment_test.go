package warm

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// environment is a Python environment of the test's own, with the packages of another.
type environment struct {
	t           *testing.T
	root, other string
}

func newEnvironment(t *testing.T, other string) *environment {
	t.Helper()
	e := &environment{t: t, root: filepath.Join(t.TempDir(), "venv"), other: other}
	e.python(other, "-m", "venv", "--without-pip", e.root)
	const packages = "import sysconfig; print(sysconfig.get_path('purelib'))"
	theirs, ours := e.python(other, "-c", packages), e.python(e.root, "-c", packages)
	e.write(filepath.Join(strings.TrimSpace(ours), "other.pth"), theirs)
	for _, program := range []string{"flwr", "flwr-serverapp", "flwr-clientapp"} {
		text, err := os.ReadFile(filepath.Join(other, "bin", program))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "\n")
		e.write(filepath.Join(e.root, "bin", program), "#!"+filepath.Join(e.root, "bin", "python")+"\n"+rest)
	}
	return e
}

// install has pip install a release of a package, which needs no network: the wheel is made
// here. pip itself comes from the other environment.
func (e *environment) install(name string, release int) {
	e.t.Helper()
	wheel := filepath.Join(e.t.TempDir(), fmt.Sprintf("%s-%d-py3-none-any.whl", name, release))
	file, err := os.Create(wheel)
	if err != nil {
		e.t.Fatal(err)
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	info := fmt.Sprintf("%s-%d.dist-info/", name, release)
	for _, entry := range []struct{ path, text string }{
		{name + ".py", fmt.Sprintf("RELEASE = %d\n", release)},
		{info + "METADATA", fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %d\n", name, release)},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", fmt.Sprintf("%s.py,,\n%[2]sMETADATA,,\n%[2]sWHEEL,,\n%[2]sRECORD,,\n", name, info)},
	} {
		w, err := archive.Create(entry.path)
		if err != nil {
			e.t.Fatal(err)
		}
		if _, err := w.Write([]byte(entry.text)); err != nil {
			e.t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		e.t.Fatal(err)
	}
	e.python(e.other, "-m", "pip", "--disable-pip-version-check", "--python", filepath.Join(e.root, "bin", "python"),
		"install", "--quiet", "--no-index", "--no-deps", "--upgrade", wheel)
}

// python runs the interpreter of an environment and returns what it prints.
func (e *environment) python(root string, args ...string) string {
	e.t.Helper()
	out, err := exec.CommandContext(e.t.Context(), filepath.Join(root, "bin", "python"), args...).CombinedOutput()
	if err != nil {
		e.t.Fatalf("python %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// write makes an executable file.
func (e *environment) write(path, text string) {
	e.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		e.t.Fatal(err)
	}
}
