package chaos

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m)) }

// everything reports whether this is `make chaos` rather than `make test`.
func everything() bool { return os.Getenv("RHIZOME_CHAOS") != "" }

// dice returns the source of a test's randomness, and prints how to repeat it.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("RHIZOME_CHAOS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("RHIZOME_CHAOS_SEED: %v", err)
		}
	}
	t.Logf("RHIZOME_CHAOS_SEED=%d gives the same faults", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// number reads a setting of the test from the environment.
func number(t *testing.T, name string, standard int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
