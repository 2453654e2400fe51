package warm

import (
	"testing"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/executor/executortest"
)

// warmOnly does not fall back to a cold start, which would pass in place of the warm one.
type warmOnly struct{ *Executor }

func (w warmOnly) Start(spec executor.Spec) (executor.Process, error) { return w.startWarm(spec) }

func TestConformance(t *testing.T) {
	executortest.Run(t, warmOnly{newFixture(t, environmentWith(t, executortest.Python)).Executor})
}
