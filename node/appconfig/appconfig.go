package appconfig

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// Config is a flat configuration as it travels in a Flower context.
type Config = map[string]*flwrpb.Scalar

// ErrBadFAB says that a bundle can not be used by anybody: it is no zip, has no
// pyproject.toml, or its configuration is not valid.
var ErrBadFAB = errors.New("invalid Flower app bundle")

// pair is one key=value of a command line; a value may be quoted to hold spaces.
var pair = regexp.MustCompile(`(\S+?)=('[^']*'|"[^"]*"|\S+)`)

// Parse reads what an operator gives as node configuration: space-separated pairs whose
// values are TOML (`k=1 name="x y" on=true`), or the path of one TOML file.
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

// Defaults reads [tool.flwr.app.config] of a bundle. All errors about its content wrap ErrBadFAB.
func Defaults(fab io.ReaderAt, size int64) (Config, error) {
	text, err := pyproject(fab, size)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Tool struct {
			Flwr struct {
				App struct {
					Config map[string]any `toml:"config"`
				} `toml:"app"`
			} `toml:"flwr"`
		} `toml:"tool"`
	}
	if _, err := toml.Decode(text, &doc); err != nil {
		return nil, fmt.Errorf("%w: pyproject.toml: %w", ErrBadFAB, err)
	}
	cfg, err := flatten(doc.Tool.Flwr.App.Config)
	if err != nil {
		return nil, fmt.Errorf("%w: [tool.flwr.app.config]: %w", ErrBadFAB, err)
	}
	return cfg, nil
}

// Fuse lays overrides over defaults; neither is changed.
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
	return flatten(doc)
}

func pyproject(fab io.ReaderAt, size int64) (string, error) {
	archive, err := zip.NewReader(fab, size)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadFAB, err)
	}
	f, err := archive.Open("pyproject.toml")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadFAB, err)
	}
	defer f.Close()
	text, err := readLimited(f, maxPyproject)
	if err != nil {
		return "", fmt.Errorf("%w: pyproject.toml: %w", ErrBadFAB, err)
	}
	return text, nil
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

func flatten(doc map[string]any) (Config, error) {
	cfg := make(Config)
	if err := flattenInto(cfg, "", doc, 0); err != nil {
		return nil, err
	}
	return cfg, nil
}

func flattenInto(cfg Config, prefix string, table map[string]any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("tables are nested deeper than %d", maxDepth)
	}
	for name, value := range table {
		key := prefix + name
		if sub, ok := value.(map[string]any); ok {
			if err := flattenInto(cfg, key+".", sub, depth+1); err != nil {
				return err
			}
			continue
		}
		scalar, err := toScalar(value)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		if len(cfg) >= maxKeys {
			return fmt.Errorf("more than %d keys", maxKeys)
		}
		cfg[key] = scalar
	}
	return nil
}

func toScalar(value any) (*flwrpb.Scalar, error) {
	switch v := value.(type) {
	case bool:
		return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_Bool{Bool: v}}, nil
	case int64:
		return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_Sint64{Sint64: v}}, nil
	case float64:
		return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_Double{Double: v}}, nil
	case string:
		return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_String_{String_: v}}, nil
	default:
		return nil, fmt.Errorf("a value is a bool, a number or a string, not %T", value)
	}
}
