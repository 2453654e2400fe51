package fab_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/protocol/fab"
)

// The records of a zip file that forgeries are made of.
const (
	endSignature     = "PK\x05\x06"
	centralSignature = "PK\x01\x02"
	locator64Len     = 20
)

// TestBundlesThatTwoReadersReadInTwoWays tries forgeries in which one reader sees one app and
// another reader another.
func TestBundlesThatTwoReadersReadInTwoWays(t *testing.T) {
	honest := pack(t, entry{name: "pyproject.toml", text: pyproject}, entry{name: "quick/server.py", text: "app = 1"})
	if _, err := read(honest); err != nil {
		t.Fatal(err)
	}
	end := bytes.LastIndex(honest, []byte(endSignature))
	central := int(binary.LittleEndian.Uint32(honest[end+16:]))
	second := bytes.LastIndex(honest, []byte(centralSignature))
	splice := func(at int, more string) []byte {
		return append(append(bytes.Clone(honest[:at]), more...), honest[at:]...)
	}
	// fix sets a field of the end record, as the forger of a longer file would.
	fix := func(content []byte, field, value int) []byte {
		at := bytes.LastIndex(content, []byte(endSignature))
		binary.LittleEndian.PutUint32(content[at+field:], uint32(value))
		return content
	}
	edit := func(at int, text string) []byte {
		content := bytes.Clone(honest)
		copy(content[at:], text)
		return content
	}
	comment := splice(end, "# nothing")
	binary.LittleEndian.PutUint16(comment[second+32:], 9)
	locator := "PK\x06\x07" + strings.Repeat("\x00", locator64Len-4)
	for name, content := range map[string][]byte{
		"bytes before":                 append([]byte("#!/bin/sh\n"), honest...),
		"bytes before, with new place": fix(append([]byte("#!/bin/sh\n"), honest...), 16, central+10),
		"bytes behind":                 append(bytes.Clone(honest), "more"...),
		"another bundle behind":        append(bytes.Clone(honest), honest...),
		"gap before the directory":     fix(splice(central, "gap"), 16, central+3),
		"zip64 locator":                splice(end, locator),
		"zip64 locator in a comment":   fix(comment, 12, end-central+9),
		"comment":                      append(append(bytes.Clone(honest[:end+20]), 4, 0), "text"...),
		"one file fewer in directory":  edit(end+8, "\x01\x00\x01\x00"),
		"another name in front":        edit(30, "pyprojecT.toml"),
		"another name in directory":    edit(central+46, "pyprojecT.toml"),
		"another checksum behind":      edit(second+16, "\x00\x00\x00\x00"),
		"second part":                  edit(end+4, "\x01\x00"),
		"encrypted":                    edit(central+8, "\x09"),
		"extra field with a name":      withExtra(t, 0x7075, "\x01\x00\x00\x00\x00other.py"),
		"extra field with sizes":       withExtra(t, 1, strings.Repeat("\x00", 16)),
		"name in no encoding":          pack(t, entry{name: "pyproject.toml", text: pyproject}, entry{name: "caf\xe9.py"}),
		"control characters in a name": pack(t, entry{name: "pyproject.toml", text: pyproject}, entry{name: "a\x1b[2J.py"}),
	} {
		t.Run(name, func(t *testing.T) {
			if bundle, err := read(content); !errors.Is(err, fab.ErrInvalid) {
				t.Errorf("it was accepted as %+v (%v)", bundle, err)
			}
		})
	}
}

func withExtra(t *testing.T, id uint16, value string) []byte {
	t.Helper()
	extra := binary.LittleEndian.AppendUint16(nil, id)
	extra = binary.LittleEndian.AppendUint16(extra, uint16(len(value)))
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	file, err := w.CreateHeader(&zip.FileHeader{Name: "pyproject.toml", Extra: append(extra, value...)})
	if err == nil {
		_, err = file.Write([]byte(pyproject))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// listing is a reader on top of Python's zipfile, with which Flower unpacks bundles: for each
// file named on its standard input it prints the names and contents that it finds.
const listing = `
import json, sys, zipfile
for path in sys.stdin.read().split():
    try:
        with zipfile.ZipFile(path) as z:
            found = {i.filename: z.read(i).hex() for i in z.infolist()}
    except Exception as e:
        found = None
    print(json.dumps(found))
`

// TestPythonReadsTheSame changes bundles at random and checks that, in each one accepted here,
// Python finds exactly the files that Go finds.
func TestPythonReadsTheSame(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 to compare with")
	}
	random := rand.New(rand.NewPCG(1, 2))
	folder := t.TempDir()
	var paths []string
	var want []map[string]string
	tried := 0
	for len(paths) < 300 && tried < 200_000 {
		tried++
		content := pack(t, entry{name: "pyproject.toml", text: pyproject}, entry{name: "quick/server.py", text: "app = 1"}, entry{name: "a/b", text: "x"})
		for range 1 + random.IntN(3) {
			mutate(random, &content)
		}
		if _, err := read(content); err != nil {
			continue
		}
		files, err := unpack(content)
		if err != nil {
			continue // Go does not unpack it either
		}
		path := filepath.Join(folder, fmt.Sprint(len(paths)))
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		paths, want = append(paths, path), append(want, files)
	}
	command := exec.CommandContext(t.Context(), python, "-c", listing)
	command.Stdin = strings.NewReader(strings.Join(paths, "\n"))
	out, err := command.Output()
	if err != nil {
		t.Fatal("python3: ", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for i := range paths {
		var got map[string]string
		if err := decoder.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got != nil && fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("Go finds %v, and Python %v", want[i], got)
		}
	}
	t.Logf("%d of %d changed bundles were taken", len(paths), tried)
	if len(paths) < 50 {
		t.Error("so few prove nothing")
	}
}

func mutate(random *rand.Rand, content *[]byte) {
	c := *content
	at := random.IntN(len(c))
	switch random.IntN(4) {
	case 0:
		c[at] = byte(random.Uint32())
	case 1:
		c[at] ^= 1 << random.IntN(8)
	case 2: // records are at the end
		c[len(c)-1-random.IntN(min(300, len(c)))] = byte(random.IntN(4))
	case 3:
		piece := c[at:min(len(c), at+1+random.IntN(40))]
		to := random.IntN(len(c))
		*content = append(append(bytes.Clone(c[:to]), piece...), c[to:]...)
	}
}

// unpack returns the name and content of each file, in hexadecimal.
func unpack(content []byte) (map[string]string, error) {
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	files := make(map[string]string)
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		files[f.Name] = hex.EncodeToString(text)
	}
	return files, nil
}
