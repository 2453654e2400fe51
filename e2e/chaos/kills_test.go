package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

const (
	killNodes = 4
	// recovery bounds the wait for a round after its last kill. Clients of stock Flower wait
	// up to 20 s between attempts, and a SuperExec that has died often is restarted only after up
	// to 30 s.
	recovery = 3 * time.Minute
)

// TestRandomKills kills random processes during each round of a run.
//
// The ServerApp hears of a killed ClientApp as error 8, which is right: only the app knows
// whether its work may be done twice. This one asks again.
func TestRandomKills(t *testing.T) {
	rounds, kills := 3, 9
	if everything() {
		rounds, kills = 20, 100
	}
	rounds, kills = number(t, "RHIZOME_CHAOS_ROUNDS", rounds), number(t, "RHIZOME_CHAOS_KILLS", kills)
	c := &killer{t: t, rand: dice(t), federation: newFederation(t, killNodes), hits: make(map[string]int)}
	settings := []string{fmt.Sprintf("rounds=%d", rounds), fmt.Sprintf("nodes=%d", killNodes)}
	want := c.train("undisturbed", append(settings, "work=0.0")...)

	c.app = newSteady(t, c.World, "disturbed")
	for round := range rounds {
		c.app.hold(fmt.Sprintf("round-%d", round+1))
	}
	began := time.Now()
	c.runID = c.flwr.Submit(c.app.app(), "-c", c.app.config(append(settings, "work=0.7")...))
	for round := range rounds {
		c.app.release(fmt.Sprintf("round-%d", round+1))
		c.app.await(fmt.Sprintf("round-%d", round+1), recovery)
		if round == 0 && len(c.leftFiles()) == 0 {
			t.Fatal("the look for files that are left does not see those of a run under way")
		}
		for range (round+1)*kills/rounds - round*kills/rounds {
			c.kill()
		}
		c.restartAll()
	}
	end := c.awaitEnd(c.runID, recovery)
	t.Logf("%d kills in %v: %v; %d messages were asked again", kills, time.Since(began).Round(time.Second), c.hits, c.app.count("crashed"))
	if end.Status != "finished:completed" {
		t.Fatalf("the run is %s: %s", end.Status, end.Details)
	}
	if got := c.app.result(); got != want {
		t.Errorf("final weights %s, undisturbed %s", got, want)
	}
	// The death of any other process is not a failure of an app.
	if asked, killed := c.app.count("crashed"), c.hits["ClientApp"]; asked > killed {
		t.Errorf("%d messages were answered with an error, and %d ClientApps were killed", asked, killed)
	}
	c.checkNothingIsLeft()
}

// killer kills processes, and restarts the daemons that it has killed.
type killer struct {
	t    *testing.T
	rand *rand.Rand
	*federation
	down []outage
	hits map[string]int
}

type outage struct {
	daemon *world.Daemon
	until  time.Time
}

// kill waits a moment and kills one random process.
func (c *killer) kill() {
	c.t.Helper()
	c.pause(100*time.Millisecond, 700*time.Millisecond)
	for {
		kinds := []string{"relay", "link", "node", "link's SuperExec", "node's SuperExec", "fork server", "ClientApp"}
		kind := kinds[c.rand.IntN(len(kinds))]
		if what := c.strike(kind); what != "" {
			c.t.Logf("%s killed: %s", time.Now().Format("15:04:05.000"), what)
			c.hits[kind]++
			return
		}
		c.pause(20*time.Millisecond, 100*time.Millisecond)
	}
}

// strike kills one process of a kind and returns its name, or nothing if there is none.
func (c *killer) strike(kind string) string {
	node := c.nodes[c.rand.IntN(len(c.nodes))]
	switch kind {
	case "relay":
		return c.strikeDaemon(c.relay)
	case "link":
		return c.strikeDaemon(c.link)
	case "node":
		return c.strikeDaemon(node)
	case "link's SuperExec":
		return c.strikeProcess(kind, c.superExec(c.link))
	case "node's SuperExec":
		return c.strikeProcess("SuperExec of "+node.Name, c.superExec(node))
	case "fork server":
		host := c.hosts()[c.rand.IntN(len(c.hosts()))]
		return c.strikeProcess("fork server of "+host.Name, c.ForkServers(host.Name)...)
	default:
		return c.strikeProcess("ClientApp of "+node.Name, c.apps(node)...)
	}
}

func (c *killer) strikeDaemon(d *world.Daemon) string {
	for _, o := range c.down {
		if o.daemon == d {
			return ""
		}
	}
	if d.Ended() {
		c.t.Fatalf("%s has ended by itself:\n%s", d.Name, world.Tail(d.Output(), 20))
	}
	d.Kill()
	c.down = append(c.down, outage{d, time.Now().Add(c.between(0, 1500*time.Millisecond))})
	return d.Name
}

func (c *killer) strikeProcess(name string, pids ...int) string {
	if len(pids) == 0 || pids[0] == 0 {
		return ""
	}
	pid := pids[c.rand.IntN(len(pids))]
	if syscall.Kill(pid, syscall.SIGKILL) != nil {
		return ""
	}
	return name
}

// pause lets time pass, and restarts daemons that have been down long enough.
func (c *killer) pause(least, most time.Duration) {
	for end := time.Now().Add(c.between(least, most)); time.Now().Before(end); {
		<-time.After(10 * time.Millisecond)
		c.restart(time.Now())
	}
}

func (c *killer) restart(now time.Time) {
	c.down = slices.DeleteFunc(c.down, func(o outage) bool {
		if o.until.After(now) {
			return false
		}
		o.daemon.Launch()
		return true
	})
}

func (c *killer) restartAll() { c.restart(time.Now().Add(time.Hour)) }

func (c *killer) between(least, most time.Duration) time.Duration {
	return least + time.Duration(c.rand.Int64N(int64(most-least)))
}
