package fab

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// ErrInvalid wraps everything that is wrong with a bundle's content. It is permanent.
var ErrInvalid = errors.New("invalid Flower app bundle")

// ErrNotZip is the ErrInvalid of bytes that are not a zip file at all.
var ErrNotZip = fmt.Errorf("%w: not a zip file", ErrInvalid)

// Bundle is what a bundle says about its app.
type Bundle struct {
	Publisher, Name, Version string
	// ServerApp, ClientApp and AgentApp are the references to the components, if present.
	ServerApp, ClientApp, AgentApp string
	// Config holds the defaults of the run configuration, flattened.
	Config map[string]*flwrpb.Scalar
}

// ID returns the id of the app, "publisher/name".
func (b Bundle) ID() string { return b.Publisher + "/" + b.Name }

type pyproject struct {
	Project struct {
		Name    string `toml:"name"`
		Version string `toml:"version"`
	} `toml:"project"`
	Tool struct {
		Flwr struct {
			App struct {
				Publisher  string         `toml:"publisher"`
				Config     map[string]any `toml:"config"`
				Components map[string]any `toml:"components"`
			} `toml:"app"`
		} `toml:"flwr"`
	} `toml:"tool"`
}

// Read checks a bundle of size bytes and reads what it says about itself. All errors about
// the content wrap ErrInvalid.
func Read(r io.ReaderAt, size int64) (Bundle, error) {
	if err := checkLayout(r, size); err != nil {
		return Bundle{}, err
	}
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return Bundle{}, fmt.Errorf("%w: %v", ErrNotZip, err)
	}
	if err := checkEntries(archive.File); err != nil {
		return Bundle{}, err
	}
	text, err := readPyproject(archive)
	if err != nil {
		return Bundle{}, err
	}
	var doc pyproject
	if _, err := toml.Decode(text, &doc); err != nil {
		return Bundle{}, fmt.Errorf("%w: pyproject.toml: %v", ErrInvalid, err)
	}
	return doc.bundle()
}

func checkEntries(files []*zip.File) error {
	if len(files) > maxEntries {
		return fmt.Errorf("%w: it has %d files; at most %d are allowed", ErrInvalid, len(files), maxEntries)
	}
	var unpacked uint64
	names := make(map[string]bool, len(files)) // true: a folder
	for _, f := range files {
		if err := checkPath(f.Name); err != nil {
			return err
		}
		// Of two files with the same name, each reader takes a different one.
		name := path.Clean(f.Name)
		if _, twice := names[name]; twice {
			return fmt.Errorf("%w: it contains %.100q twice", ErrInvalid, f.Name)
		}
		names[name] = f.Mode().IsDir()
		if f.Mode()&fs.ModeType&^fs.ModeDir != 0 {
			return fmt.Errorf("%w: %.100q is neither a file nor a folder", ErrInvalid, f.Name)
		}
		// The sizes are only what the bundle claims, but unzipping stops where they end.
		if unpacked += f.UncompressedSize64; f.UncompressedSize64 > maxUnpacked || unpacked > maxUnpacked {
			return fmt.Errorf("%w: unpacks to more than %d MiB", ErrInvalid, maxUnpacked>>20)
		}
	}
	for name := range names {
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			if folder, is := names[parent]; is && !folder {
				return fmt.Errorf("%w: %.100q is both a file and a folder", ErrInvalid, parent)
			}
		}
	}
	return nil
}

func checkPath(name string) error {
	clean := path.Clean(name)
	bad := name == "" || len(name) > maxPath || strings.ContainsAny(name, "\\\x00") || path.IsAbs(name) ||
		clean == ".." || strings.HasPrefix(clean, "../") || len(name) > 1 && name[1] == ':'
	if bad {
		return fmt.Errorf("%w: path %.100q leaves its folder or is not portable", ErrInvalid, name)
	}
	return nil
}

func readPyproject(archive *zip.Reader) (string, error) {
	f, err := archive.Open("pyproject.toml")
	if err != nil {
		return "", fmt.Errorf("%w: it has no pyproject.toml", ErrInvalid)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPyproject+1))
	if err != nil {
		return "", fmt.Errorf("%w: pyproject.toml: %v", ErrInvalid, err)
	}
	if len(text) > maxPyproject {
		return "", fmt.Errorf("%w: pyproject.toml is larger than %d bytes", ErrInvalid, maxPyproject)
	}
	return string(text), nil
}

// bundle makes the checks that flwr build and a stock SuperLink make too.
func (p pyproject) bundle() (Bundle, error) {
	app := p.Tool.Flwr.App
	component := func(name string) string {
		text, _ := app.Components[name].(string)
		return text
	}
	b := Bundle{
		Publisher: app.Publisher, Name: p.Project.Name, Version: p.Project.Version,
		ServerApp: component("serverapp"), ClientApp: component("clientapp"), AgentApp: component("agentapp"),
	}
	for _, missing := range []struct {
		what string
		is   bool
	}{
		{`property "name" in [project]`, b.Name == ""},
		{`property "version" in [project]`, b.Version == ""},
		{`property "publisher" in [tool.flwr.app]`, b.Publisher == ""},
		{`property "serverapp" in [tool.flwr.app.components]`, b.ServerApp == "" && b.AgentApp == ""},
		{`property "clientapp" in [tool.flwr.app.components]`, b.ClientApp == "" && b.AgentApp == ""},
	} {
		if missing.is {
			return Bundle{}, fmt.Errorf("%w: pyproject.toml: missing %s", ErrInvalid, missing.what)
		}
	}
	config, err := Flatten(app.Config)
	if err != nil {
		return Bundle{}, fmt.Errorf("%w: [tool.flwr.app.config]: %v", ErrInvalid, err)
	}
	b.Config = config
	return b, nil
}
