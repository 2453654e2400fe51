package swarm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// play is a Hub whose nodes are played by a test. Ids say how large an object is.
type play struct {
	t     testing.TB
	hub   *Hub
	sizes map[string]int64
}

func newPlay(t testing.TB) *play {
	p := &play{t: t, sizes: make(map[string]int64)}
	p.hub = NewHub(HubConfig{
		Size: func(id string) (int64, error) { return p.sizes[id], nil },
		Seen: func(peer.ID) Seen { return Seen{} },
		News: func(peer.ID) {},
	})
	t.Cleanup(p.hub.Close)
	return p
}

func (p *play) thing(name string, size int64) *flwrpb.ObjectTree {
	id := object.Sum([]byte(name))
	p.sizes[id] = size
	return &flwrpb.ObjectTree{ObjectId: id}
}

// tree has some large chunks below a small root.
func (p *play) tree(name string, chunks int) *flwrpb.ObjectTree {
	root := p.thing(name, 100)
	for i := range chunks {
		root.Children = append(root.Children, p.thing(fmt.Sprint(name, i), 5<<20))
	}
	return root
}

func idsOf(tree *flwrpb.ObjectTree) []string {
	ids, err := object.PostOrder(tree, object.TreeLimits{})
	if err != nil {
		panic(err)
	}
	return ids
}

// actor is a node that asks. What it is told is given to react in order.
type actor struct {
	Asker
	play *play
	peer peer.ID
	told []string
}

func (p *play) ask(name peer.ID, tree *flwrpb.ObjectTree, alone bool) *actor {
	p.t.Helper()
	a := &actor{play: p, peer: name}
	asker, err := p.hub.Begin(name, testRun, func(ids []string) { a.told = append(a.told, ids...) })
	must(p.t, err)
	a.Asker = asker
	must(p.t, a.Heard(Ask{Want: idsOf(tree), Alone: alone}))
	return a
}

func (a *actor) got(ids ...string) {
	a.play.t.Helper()
	must(a.play.t, a.Heard(Ask{Got: ids}))
}

// large are those told that are not given at once.
func (a *actor) large() (ids []string) {
	a.play.hub.mu.Lock()
	defer a.play.hub.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.told), func(id string) bool { return a.play.sizes[id] <= smallThing })
}

func TestAHubKnowsWhatGoesToSeveral(t *testing.T) {
	p := newPlay(t)
	model, other := p.tree("model", 2), p.tree("other", 1)
	message := func(to string, parts ...*flwrpb.ObjectTree) *flwrpb.ObjectTree {
		m := p.thing("message to "+to, 50)
		m.Children = parts
		return m
	}
	if shared := p.hub.Offer(testRun, "a", message("a", model, other)); shared != nil {
		t.Errorf("the first node is told that %v are shared", shared)
	}
	p.hub.Take("a")
	if shared := p.hub.Offer(testRun, "b", message("b", model)); !slices.Equal(shared, []string{model.ObjectId}) {
		t.Errorf("the second node is told that %v are shared", shared)
	}
	if news := p.hub.Take("a"); len(news) != 1 || len(news[0].Shared) != 3 || len(news[0].Peers) != 1 || news[0].Peers[0].Peer != "b" {
		t.Errorf("the first node is told %+v", news)
	}
	// A part of a tree that was offered in another place, and a node that is offered a thing twice.
	if shared := p.hub.Offer(testRun, "b", message("b again", model.Children[0], other.Children[0])); len(shared) != 2 {
		t.Errorf("%v are shared", shared)
	}
	if shared := p.hub.Offer(testRun, "a", message("a again", other)); !slices.Equal(shared, []string{other.Children[0].ObjectId}) {
		t.Errorf("%v are shared, and only the chunk is", shared)
	}
	if shared := p.hub.Offer(testRun+1, "b", message("b", model)); shared != nil {
		t.Errorf("another run has a part in it: %v", shared)
	}
}

func TestWhatIsSmallOrForOneNodeIsGivenAtOnce(t *testing.T) {
	p := newPlay(t)
	model := p.tree("model", 1)
	for _, name := range []peer.ID{"a", "b"} {
		p.hub.Offer(testRun, name, model)
	}
	own := p.tree("own", 2)
	p.hub.Offer(testRun, "a", own)
	a := p.ask("a", own, false)
	if len(a.told) != 3 {
		t.Errorf("%d of 3 objects for one node are given", len(a.told))
	}
	b := p.ask("b", &flwrpb.ObjectTree{ObjectId: model.ObjectId, Children: []*flwrpb.ObjectTree{p.thing("an app bundle", 10<<20)}}, false)
	if len(b.told) != 2 {
		t.Errorf("%d of a small object and one that was never offered are given", len(b.told))
	}
}

func TestAHubGivesFirstCopiesInTurn(t *testing.T) {
	p := newPlay(t)
	model := p.tree("model", 6)
	var all []*actor
	for _, name := range []peer.ID{"a", "b", "c", "d"} {
		p.hub.Offer(testRun, name, model)
	}
	for _, name := range []peer.ID{"a", "b", "c", "d"} {
		all = append(all, p.ask(name, model, false))
	}
	given := make(map[string]bool)
	done := make(map[*actor]int)
	for round := range 6 {
		outstanding := 0
		for _, a := range all {
			outstanding += len(a.large()) - done[a]
		}
		if want := min(seedThings, 6-round); outstanding != want {
			t.Fatalf("round %d: %d copies are on their way, want %d", round, outstanding, want)
		}
		for _, a := range all {
			if large := a.large(); len(large) > done[a] {
				id := large[done[a]]
				done[a]++
				if given[id] {
					t.Fatalf("%s is given twice", id)
				}
				given[id] = true
				a.got(id)
				break
			}
		}
	}
	if len(given) != 6 {
		t.Errorf("%d of 6 are given", len(given))
	}
	takers := 0
	for _, n := range done {
		if n > 0 {
			takers++
		}
	}
	if takers < 3 {
		t.Errorf("only %d of 4 nodes were given anything", takers)
	}
}

func TestWhatIsNotPassedOnIsGivenAgain(t *testing.T) {
	for name, after := range map[string]func(p *play, a *actor, id string){
		"it is kept":             func(_ *play, a *actor, id string) { a.got(id) },
		"its holder leaves":      func(p *play, a *actor, id string) { a.got(id); p.hub.Leave(a.peer) },
		"its holder lies":        func(_ *play, a *actor, id string) { a.got(id) },
		"it is slow":             func(*play, *actor, string) {},
		"it is given up":         func(_ *play, a *actor, _ string) { a.Close() },
		"its holder is alone":    func(_ *play, a *actor, id string) { must(a.play.t, a.Heard(Ask{Got: []string{id}, Alone: true})) },
		"its holder wants again": func(_ *play, a *actor, id string) { a.got(id); must(a.play.t, a.Heard(Ask{Want: []string{id}})) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay(t)
				model := p.tree("model", 1)
				p.hub.Offer(testRun, "a", model)
				p.hub.Offer(testRun, "b", model)
				a, b := p.ask("a", model, false), p.ask("b", model, false)
				if len(a.large()) == 0 {
					a, b = b, a
				}
				id := model.Children[0].ObjectId
				if len(a.large()) != 1 || len(b.large()) != 0 {
					t.Fatalf("%v and %v are given", a.large(), b.large())
				}
				after(p, a, id)
				if name == "its holder lies" {
					must(t, b.Heard(Ask{Liars: []peer.ID{a.peer}}))
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if len(b.large()) != 1 {
					t.Error("the other node was left without it")
				}
				p.hub.Close()
			})
		})
	}
}

func TestANodeAloneGetsAllAndHoldsNobodyUp(t *testing.T) {
	p := newPlay(t)
	model := p.tree("model", 20)
	for _, name := range []peer.ID{"a", "b"} {
		p.hub.Offer(testRun, name, model)
	}
	alone, other := p.ask("a", model, true), p.ask("b", model, false)
	if len(alone.large()) != ownWindow || len(other.large()) != seedThings {
		t.Errorf("%d and %d are given", len(alone.large()), len(other.large()))
	}
	for done := range 20 {
		if done >= len(alone.large()) {
			t.Fatalf("%d of 20 are given to it", done)
		}
		must(t, alone.Heard(Ask{Got: alone.large()[done : done+1], Alone: true}))
		if ahead := len(alone.large()) - done - 1; ahead > maxOwnWindow {
			t.Fatalf("%d are on their way", ahead)
		}
	}
	if len(other.large()) != seedThings {
		t.Errorf("%d are given to the other", len(other.large()))
	}
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	if c := p.hub.courses[testRun]; c.given != seedThings || c.bytes != seedThings*5<<20 {
		t.Errorf("%d copies of %d bytes are counted", c.given, c.bytes)
	}
}

// TestEverybodyGetsEverything has nodes come, go, pass on, lie, be slow and be alone by
// chance. Who stays and asks gets all in the end, and the account is even.
func TestEverybodyGetsEverything(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			p := newPlay(t)
			model := p.tree("model", 1+rng.IntN(12))
			ids := idsOf(model)
			var live []*chanceNode
			begin := func(i int) {
				name := peer.ID(fmt.Sprint("node", i))
				p.hub.Offer(testRun, name, model)
				n := &chanceNode{actor: p.ask(name, model, false), has: make(map[string]bool), passesOn: rng.IntN(3) > 0}
				live = append(live, n)
			}
			for i := range 2 + rng.IntN(6) {
				begin(i)
			}
			for step := range 400 {
				time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
				n := live[rng.IntN(len(live))]
				switch rng.IntN(12) {
				case 0:
					if len(live) < 12 {
						begin(100 + step)
					}
				case 1:
					if len(live) > 1 && step < 300 {
						p.hub.Leave(n.peer)
						n.Close()
						live = slices.DeleteFunc(live, func(other *chanceNode) bool { return other == n })
					}
				case 2:
					n.alone = !n.alone
					must(t, n.Heard(Ask{Alone: n.alone}))
				case 3:
					must(t, n.Heard(Ask{Alone: n.alone, Liars: []peer.ID{live[rng.IntN(len(live))].peer}}))
				case 4, 5, 6:
					from := live[rng.IntN(len(live))]
					for id := range from.has {
						if from.passesOn && !n.has[id] {
							n.take(id)
							break
						}
					}
				default:
					n.takeTold()
				}
			}
			for range 2000 {
				left := 0
				for _, n := range live {
					n.takeTold()
					left += len(ids) - len(n.has)
				}
				if left == 0 {
					break
				}
				time.Sleep(time.Second)
				synctest.Wait()
			}
			for _, n := range live {
				if len(n.has) != len(ids) {
					t.Fatalf("seed %d: %s has %d of %d objects", seed, n.peer, len(n.has), len(ids))
				}
				n.Close()
			}
			p.hub.mu.Lock()
			for _, c := range p.hub.courses {
				if c.given != 0 || c.bytes != 0 || len(c.wanted) != 0 || len(c.askers) != 0 {
					t.Fatalf("seed %d: %d copies of %d bytes, %d wanted, %d askers are left", seed, c.given, c.bytes, len(c.wanted), len(c.askers))
				}
			}
			p.hub.mu.Unlock()
			p.hub.Close()
		})
	}
}

// chanceNode takes what it is told of, in its own time.
type chanceNode struct {
	*actor
	has      map[string]bool
	alone    bool
	passesOn bool
	read     int
}

func (n *chanceNode) take(id string) {
	if n.has[id] {
		return
	}
	n.has[id] = true
	must(n.play.t, n.Heard(Ask{Got: []string{id}, Alone: n.alone}))
}

func (n *chanceNode) takeTold() {
	n.play.hub.mu.Lock()
	told := slices.Clone(n.told[n.read:])
	n.play.hub.mu.Unlock()
	n.read += len(told)
	for _, id := range told {
		n.take(id)
	}
}

func TestAnAskerOfTooMuchIsLeft(t *testing.T) {
	p := newPlay(t)
	model := p.tree("model", maxAsked+1)
	p.hub.Offer(testRun, "a", model)
	p.hub.Offer(testRun, "b", model)
	asker, err := p.hub.Begin("a", testRun, func([]string) {})
	must(t, err)
	if err := asker.Heard(Ask{Want: idsOf(model)}); err == nil {
		t.Error("it may ask for anything")
	}
	if _, err := p.hub.Begin("stranger", testRun, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := p.hub.Begin("a", testRun+1, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("another run: %v", err)
	}
	p.hub.End(testRun)
	if err := asker.Heard(Ask{}); !errors.Is(err, ErrRefused) {
		t.Errorf("after the end of the run: %v", err)
	}
}
