// Package python finds the Python environment in which Flower apps run: the programs
// flwr-serverapp and flwr-clientapp that belong to one interpreter.
//
// It only looks at files, and asks an interpreter for its scripts folder where the files do
// not tell; it installs nothing.
package python

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Env is one environment. The zero value looks programs up in PATH.
type Env struct {
	// Scripts is the folder with the programs; empty for PATH.
	Scripts string
	// Root is the folder of the virtual environment; empty if it is not one.
	Root string
}

// Find interprets a setting: the folder of a virtual environment, a folder of programs, an
// interpreter, or empty for PATH.
func Find(ctx context.Context, setting string) (Env, error) {
	if setting == "" {
		return Env{}, nil
	}
	path, err := filepath.Abs(setting)
	if err != nil {
		return Env{}, fmt.Errorf("python environment %q: %w", setting, err)
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) && !strings.ContainsRune(setting, filepath.Separator) {
		if path, err = exec.LookPath(setting); err == nil { // "python3.12"
			info, err = os.Stat(path)
		}
	}
	if err != nil {
		return Env{}, fmt.Errorf("python environment: %w; give an interpreter or the folder of a venv", err)
	}
	if info.IsDir() {
		return inFolder(path)
	}
	return ofInterpreter(ctx, path)
}

func inFolder(path string) (Env, error) {
	for _, scripts := range []string{filepath.Join(path, "bin"), path} {
		if isProgram(filepath.Join(scripts, "python")) || isProgram(filepath.Join(scripts, "python3")) {
			return newEnv(scripts), nil
		}
	}
	return Env{}, fmt.Errorf("python environment %s: no bin/python in it: is it the folder of a venv?", path)
}

func ofInterpreter(ctx context.Context, path string) (Env, error) {
	// An interpreter of a venv is a link to one outside it, so links are not followed here.
	beside := filepath.Dir(path)
	if isProgram(filepath.Join(beside, "flwr-clientapp")) {
		return newEnv(beside), nil
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	ask := exec.CommandContext(ctx, path, "-c", "import sysconfig; print(sysconfig.get_path('scripts'))")
	answer, err := ask.Output()
	if err != nil {
		return Env{}, fmt.Errorf("ask %s for its scripts folder: %w", path, err)
	}
	return newEnv(strings.TrimSpace(string(answer))), nil
}

func newEnv(scripts string) Env {
	env := Env{Scripts: scripts}
	if root := filepath.Dir(scripts); fileExists(filepath.Join(root, "pyvenv.cfg")) {
		env.Root = root
	}
	return env
}

// Program returns the path of a program of the environment, such as "flwr-clientapp". The
// error says what to do if it is missing.
func (e Env) Program(name string) (string, error) {
	if e.Scripts == "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("%s is not in PATH: install it with \"pip install flwr\", or name the environment that has it with --python", name)
		}
		return filepath.Abs(path)
	}
	path := filepath.Join(e.Scripts, name)
	if !isProgram(path) {
		return "", fmt.Errorf("%s has no %s: is flwr installed in that environment?", e.Scripts, name)
	}
	return path, nil
}

// Environ returns the variables that activate the environment for a child process, to be
// added to those of this process.
func (e Env) Environ() []string {
	if e.Scripts == "" {
		return nil
	}
	vars := []string{"PATH=" + e.Scripts + string(os.PathListSeparator) + os.Getenv("PATH")}
	if e.Root != "" {
		vars = append(vars, "VIRTUAL_ENV="+e.Root)
	}
	return vars
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
