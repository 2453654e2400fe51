package exec

import (
	"context"

	"github.com/rhizome-fl/rhizome/exec/python"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// taskTypes are the types of tasks that a SuperExec can run.
var taskTypes = []string{task.TypeServerApp, task.TypeClientApp}

// CheckPython says what is missing from the Python environment that setting (Config.Python)
// names, for a SuperExec to run apps in it.
func CheckPython(ctx context.Context, setting string) error {
	_, err := findPython(ctx, setting)
	return err
}

// findPython finds an environment with all the programs that tasks need.
func findPython(ctx context.Context, setting string) (python.Env, error) {
	env, err := python.Find(ctx, setting)
	if err != nil {
		return python.Env{}, err
	}
	for _, program := range taskTypes {
		if _, err := env.Program(program); err != nil {
			return python.Env{}, err
		}
	}
	return env, nil
}
