package swarm

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

func named(ids ...peer.ID) (list []objects.Provider) {
	for _, id := range ids {
		list = append(list, objects.Provider{Peer: id})
	}
	return list
}

func TestABoardLetsWhoIsNamedHaveWhatIsShared(t *testing.T) {
	here := make(map[string]bool)
	b := NewBoard(func(id string) bool { return here[id] })
	model, own := object.Sum([]byte("model")), object.Sum([]byte("own"))
	may := func(p peer.ID, run uint64, id string, want bool) {
		t.Helper()
		if b.May(p, run, id) != want {
			t.Errorf("%s may have it in run %d: %v", string(p), run, !want)
		}
	}
	may("a", 1, model, false)
	if gone := b.SetPeers(1, named("a", "b")); gone != nil {
		t.Errorf("%v are gone", gone)
	}
	may("a", 1, model, false)
	b.Share(1, []string{model})
	b.SetPeers(2, named("b"))
	may("a", 1, model, true)
	may("a", 1, own, false)
	may("b", 2, model, false)
	may("c", 1, model, false)
	if !b.Knows("a") || b.Knows("c") || b.Count() != 2 {
		t.Error("it knows others than were named")
	}
	if gone := b.SetPeers(1, named("c")); !slices.Equal(gone, []peer.ID{"a"}) {
		t.Errorf("%v are gone", gone)
	}
	may("a", 1, model, false)
	may("b", 1, model, false)
	may("c", 1, model, true)
	if gone := b.End(1); !slices.Equal(gone, []peer.ID{"c"}) {
		t.Errorf("%v are gone", gone)
	}
	may("c", 1, model, false)
	if gone := b.Clear(); !slices.Equal(gone, []peer.ID{"b"}) || b.Count() != 0 {
		t.Errorf("%v are gone", gone)
	}
}

func TestABoardTellsWhatHasCome(t *testing.T) {
	here := make(map[string]bool)
	b := NewBoard(func(id string) bool { return here[id] })
	id := func(name string) string { return object.Sum([]byte(name)) }
	b.SetPeers(1, named("a"))
	b.Share(1, []string{id("there"), id("later")})
	here[id("there")], here[id("own")], here[id("late share")] = true, true, true
	var told []string
	asker, err := b.Begin("a", 1, func(ids []string) { told = append(told, ids...) })
	must(t, err)
	must(t, asker.Heard(Ask{Want: []string{id("there"), id("later"), id("own"), id("late share"), id("no longer wanted")}}))
	expect := func(names ...string) {
		t.Helper()
		var want []string
		for _, name := range names {
			want = append(want, id(name))
		}
		if !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, names)
		}
		told = nil
	}
	expect("there")
	here[id("later")], here[id("no longer wanted")] = true, true
	b.Arrived(id("later"))
	b.Arrived(id("later"))
	b.Arrived(id("own"))
	expect("later")
	b.Share(1, []string{id("late share")})
	expect("late share")
	must(t, asker.Heard(Ask{Got: []string{id("no longer wanted")}}))
	b.Share(1, []string{id("no longer wanted")})
	expect()
	if _, err := b.Begin("b", 1, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := b.Begin("a", 2, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("another run: %v", err)
	}
	many := make([]string, maxAsked+1)
	for i := range many {
		many[i] = object.Sum([]byte{byte(i), byte(i >> 8)})
	}
	if err := asker.Heard(Ask{Want: many}); err == nil {
		t.Error("it may ask for anything")
	}
	b.SetPeers(1, nil)
	if err := asker.Heard(Ask{}); !errors.Is(err, ErrRefused) {
		t.Errorf("a node that is named no longer: %v", err)
	}
	asker.Close()
}

func TestABoardIsBounded(t *testing.T) {
	b := NewBoard(func(string) bool { return false })
	for run := range uint64(maxCourses + 10) {
		b.SetPeers(run, named("a"))
	}
	if len(b.runs) != maxCourses {
		t.Errorf("%d runs are kept", len(b.runs))
	}
	peers := make([]objects.Provider, 2*maxNamed)
	for i := range peers {
		peers[i].Peer = peer.ID(rune(i + 1))
	}
	b.SetPeers(0, peers)
	if len(b.runs[0].peers) != maxNamed {
		t.Errorf("%d peers are kept", len(b.runs[0].peers))
	}
	b.Clear()
	ids := make([]string, maxShared+1)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	b.Share(0, ids[:maxShared])
	b.Share(0, ids)
	if r := b.runs[0]; len(r.shared) != maxShared || len(r.order) != maxShared {
		t.Errorf("%d objects are kept", len(r.shared))
	}
}
