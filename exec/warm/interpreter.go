package warm

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rhizome-fl/rhizome/exec/python"
)

// interpreterOf reads which interpreter the environment's programs name.
func interpreterOf(env python.Env) (string, error) {
	program, err := env.Program("flwr-clientapp")
	if err != nil {
		return "", err
	}
	file, err := os.Open(program)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", program, err)
	}
	defer file.Close()
	head := make([]byte, 512)
	n, err := file.Read(head)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", program, err)
	}
	line, _, _ := strings.Cut(string(head[:n]), "\n")
	interpreter, ok := strings.CutPrefix(line, "#!")
	interpreter = strings.TrimSpace(interpreter)
	if !ok || !strings.Contains(filepath.Base(interpreter), "python") || strings.ContainsRune(interpreter, ' ') {
		return "", fmt.Errorf("%s does not begin with its interpreter: %q", program, line)
	}
	return interpreter, nil
}

func environment(lists ...[]string) map[string]string {
	env := make(map[string]string)
	for _, list := range lists {
		for _, entry := range list {
			if name, value, ok := strings.Cut(entry, "="); ok {
				env[name] = value
			}
		}
	}
	return env
}
