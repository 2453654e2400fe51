package fab_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rhizome-fl/rhizome/protocol/fab"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

const pyproject = `
[project]
name = "quick"
version = "1.2.3"
[tool.flwr.app]
publisher = "me"
[tool.flwr.app.components]
serverapp = "quick.server:app"
clientapp = "quick.client:app"
[tool.flwr.app.config]
rounds = 3
rate = 0.5
on = true
name = "x"
deep.er.still = -1
`

// entry is a file of a bundle.
type entry struct {
	name, text string
	mode       fs.FileMode
}

func pack(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.mode != 0 {
			header.SetMode(e.mode)
		}
		file, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(content []byte) (fab.Bundle, error) {
	return fab.Read(bytes.NewReader(content), int64(len(content)))
}

func TestRead(t *testing.T) {
	got, err := read(pack(t, entry{name: "pyproject.toml", text: pyproject}, entry{name: "quick/", mode: fs.ModeDir | 0o755},
		entry{name: "quick/server.py", text: "app = 1"}, entry{name: ".info/CONTENT", text: ""}))
	if err != nil {
		t.Fatal(err)
	}
	want := fab.Bundle{
		Publisher: "me", Name: "quick", Version: "1.2.3", ServerApp: "quick.server:app", ClientApp: "quick.client:app",
		Config: map[string]*flwrpb.Scalar{
			"rounds":        {Scalar: &flwrpb.Scalar_Sint64{Sint64: 3}},
			"rate":          {Scalar: &flwrpb.Scalar_Double{Double: 0.5}},
			"on":            {Scalar: &flwrpb.Scalar_Bool{Bool: true}},
			"name":          {Scalar: &flwrpb.Scalar_String_{String_: "x"}},
			"deep.er.still": {Scalar: &flwrpb.Scalar_Sint64{Sint64: -1}},
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if got.ID() != "me/quick" {
		t.Errorf("the id is %q", got.ID())
	}
}

func TestBadBundles(t *testing.T) {
	project := entry{name: "pyproject.toml", text: pyproject}
	with := func(entries ...entry) []byte { return pack(t, append([]entry{project}, entries...)...) }
	toml := func(old, replacement string) []byte {
		if !strings.Contains(pyproject, old) {
			t.Fatalf("no %q in the sample", old)
		}
		return pack(t, entry{name: "pyproject.toml", text: strings.Replace(pyproject, old, replacement, 1)})
	}
	var crowd []entry
	for i := range 10_001 {
		crowd = append(crowd, entry{name: fmt.Sprint(i)})
	}
	whole := with()
	for name, test := range map[string]struct {
		content []byte
		says    string
	}{
		"nothing":               {nil, "not a zip file"},
		"text":                  {[]byte("print('hello')"), "not a zip file"},
		"cut":                   {whole[:len(whole)-10], "not a zip file"},
		"no pyproject":          {pack(t, entry{name: "quick/pyproject.toml", text: pyproject}), "no pyproject.toml"},
		"not TOML":              {toml("[project]", "[project"), "pyproject.toml"},
		"no name":               {toml(`name = "quick"`, ""), `"name"`},
		"name is a number":      {toml(`name = "quick"`, "name = 1"), "pyproject.toml"},
		"no version":            {toml(`version = "1.2.3"`, ""), `"version"`},
		"no publisher":          {toml(`publisher = "me"`, ""), `"publisher"`},
		"no serverapp":          {toml(`serverapp = "quick.server:app"`, ""), `"serverapp"`},
		"no clientapp":          {toml(`clientapp = "quick.client:app"`, ""), `"clientapp"`},
		"a list as value":       {toml("rounds = 3", "rounds = [3]"), `"rounds"`},
		"a date as value":       {toml("rounds = 3", "rounds = 2026-01-01"), `"rounds"`},
		"endless pyproject":     {pack(t, entry{name: "pyproject.toml", text: pyproject + "#" + strings.Repeat("x", 2<<20)}), "larger than"},
		"deep configuration":    {toml("deep.er.still", strings.Repeat("a.", 100)+"b"), "nested deeper"},
		"climbs out":            {with(entry{name: "../evil.py"}), "leaves its folder"},
		"climbs out in between": {with(entry{name: "a/../../evil.py"}), "leaves its folder"},
		"absolute":              {with(entry{name: "/etc/evil"}), "leaves its folder"},
		"backslash":             {with(entry{name: `..\evil.py`}), "leaves its folder"},
		"drive":                 {with(entry{name: "C:evil.py"}), "leaves its folder"},
		"zero byte":             {with(entry{name: "a\x00b"}), "read in one way here"},
		"endless path":          {with(entry{name: strings.Repeat("a", 5000)}), "leaves its folder"},
		"link":                  {with(entry{name: "link", text: "/etc/passwd", mode: fs.ModeSymlink | 0o777}), "neither a file nor a folder"},
		"twice":                 {with(project), "twice"},
		"a file as folder":      {with(entry{name: "a", text: "x"}, entry{name: "a/b"}), "both a file and a folder"},
		"twice, spelled anew":   {with(entry{name: "a/b"}, entry{name: "a//b"}), "twice"},
		"bomb":                  {with(entry{name: "zeros", text: strings.Repeat("\x00", 101<<20)}), "unpacks to more"},
		"crowd":                 {with(crowd...), "10002 files"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(test.content)
			if !errors.Is(err, fab.ErrInvalid) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an error that says %q", err, test.says)
			}
		})
	}
}

// FuzzRead shows that the worst that can come of any bundle is its refusal, and that an
// accepted one can be unpacked where it belongs.
func FuzzRead(f *testing.F) {
	f.Add(pack(f, entry{name: "pyproject.toml", text: pyproject}))
	f.Add(pack(f, entry{name: "pyproject.toml", text: pyproject}, entry{name: "../evil"}))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, content []byte) {
		bundle, err := read(content)
		if err != nil {
			if !errors.Is(err, fab.ErrInvalid) {
				t.Fatalf("a bad bundle ended in %v", err)
			}
			return
		}
		if bundle.Publisher == "" || bundle.Name == "" || bundle.Version == "" {
			t.Fatalf("a bundle without a name was accepted: %+v", bundle)
		}
		archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range archive.File {
			if !filepath.IsLocal(filepath.FromSlash(file.Name)) {
				t.Fatalf("%q was accepted", file.Name)
			}
		}
	})
}
