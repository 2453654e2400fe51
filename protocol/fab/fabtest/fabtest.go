// Package fabtest makes app bundles for tests.
//
// It is not responsible for bundles that are damaged or hostile: the tests of package fab
// make those themselves.
package fabtest

import (
	"archive/zip"
	"bytes"
	"testing"
)

// project is the part that the pyproject.toml of every app has.
const project = `
[project]
name = "app"
version = "1.0.0"
[tool.flwr.app]
publisher = "us"
[tool.flwr.app.components]
serverapp = "app:server"
clientapp = "app:client"
`

// App is the bundle of an app without code; more is appended to its pyproject.toml.
func App(t testing.TB, more string) []byte {
	t.Helper()
	return Zip(t, "pyproject.toml", project+more)
}

// Zip packs files, which are given as pairs of name and text.
func Zip(t testing.TB, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i+1 < len(files); i += 2 {
		file, err := w.Create(files[i])
		if err == nil {
			_, err = file.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatalf("pack %s: %v", files[i], err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
