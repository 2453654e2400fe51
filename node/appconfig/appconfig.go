package appconfig

import (
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/rhizome-fl/rhizome/protocol/fab"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// Config is a flat configuration as it travels in a Flower context.
type Config = map[string]*flwrpb.Scalar

// pair is one key=value of a command line; a value may be quoted to hold spaces.
var pair = regexp.MustCompile(`(\S+?)=('[^']*'|"[^"]*"|\S+)`)

// Parse reads what an operator gives as node configuration: space-separated pairs whose
// values are TOML (`k=1 name="x y" on=true`), or the path of a single TOML file.
func Parse(s string) (Config, error) {
	text := strings.TrimSpace(s)
	if text == "" {
		return Config{}, nil
	}
	if strings.HasSuffix(text, ".toml") && !strings.Contains(text, "=") {
		return parseFile(text)
	}
	if rest := strings.TrimSpace(pair.ReplaceAllString(text, "")); rest != "" {
		return nil, fmt.Errorf("node configuration: %q is not of the form key=value", rest)
	}
	var doc strings.Builder
	for _, m := range pair.FindAllStringSubmatch(text, -1) {
		fmt.Fprintf(&doc, "%s = %s\n", m[1], m[2])
	}
	cfg, err := parseTOML(doc.String())
	if err != nil {
		return nil, fmt.Errorf("node configuration (strings need quotes, as in key=\"text\"): %w", err)
	}
	return cfg, nil
}

// Defaults reads the [tool.flwr.app.config] of a bundle. All errors about its content wrap
// fab.ErrInvalid.
func Defaults(bundle io.ReaderAt, size int64) (Config, error) {
	app, err := fab.Read(bundle, size)
	if err != nil {
		return nil, err
	}
	return app.Config, nil
}

// Fuse lays overrides over defaults without changing either.
func Fuse(defaults, overrides Config) Config {
	fused := maps.Clone(defaults)
	if fused == nil {
		fused = make(Config, len(overrides))
	}
	maps.Copy(fused, overrides)
	return fused
}

func parseFile(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("node configuration file: %w", err)
	}
	defer f.Close()
	text, err := readLimited(f, maxConfigFile)
	if err != nil {
		return nil, fmt.Errorf("node configuration file %s: %w", path, err)
	}
	cfg, err := parseTOML(text)
	if err != nil {
		return nil, fmt.Errorf("node configuration file %s: %w", path, err)
	}
	return cfg, nil
}

func parseTOML(text string) (Config, error) {
	var doc map[string]any
	if _, err := toml.Decode(text, &doc); err != nil {
		return nil, err
	}
	return fab.Flatten(doc)
}

func readLimited(r io.Reader, limit int64) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return "", err
	}
	if int64(len(b)) > limit {
		return "", fmt.Errorf("larger than %d bytes", limit)
	}
	return string(b), nil
}
