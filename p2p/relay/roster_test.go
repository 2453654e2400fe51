package relay

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// silent is a link's stream that nothing comes from.
type silent struct{ _ byte } // of a size, or two would have one address

func (*silent) close() {}

// TestRosterAgreesWithItsModel drives a roster and a plain description of the rules with
// the same changes, and compares every judgement.
func TestRosterAgreesWithItsModel(t *testing.T) {
	ids := make([]peer.ID, 6)
	for i := range ids {
		ids[i] = peer.ID(fmt.Sprint("peer", i))
	}
	rapid.Check(t, func(t *rapid.T) {
		r := newRoster(rapid.Bool().Draw(t, "open"))
		model := map[peer.ID]map[peer.ID]bool{} // link -> members
		streams := map[peer.ID]voice{}
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, 4, rapid.ID[peer.ID])
		t.Repeat(map[string]func(*rapid.T){
			"set links": func(t *rapid.T) {
				links := some.Draw(t, "links")
				gone := r.setLinks(links)
				for link, members := range model {
					if slices.Contains(links, link) {
						continue
					}
					for p := range members {
						if !slices.Contains(gone, p) {
							t.Fatalf("member %s of %s is not reported gone", p, link)
						}
					}
					delete(model, link)
					delete(streams, link)
				}
				for _, link := range links {
					if model[link] == nil {
						model[link] = map[peer.ID]bool{}
					}
				}
			},
			"vouch": func(t *rapid.T) {
				link := rapid.SampledFrom(ids).Draw(t, "link")
				if streams[link] == nil {
					v := &silent{}
					if r.attach(link, v, "") != (model[link] != nil) {
						t.Fatal("attached a link that is not allowed, or refused one that is")
					}
					if model[link] == nil {
						return
					}
					streams[link] = v
				}
				c := change{replace: rapid.Bool().Draw(t, "replace"), remove: some.Draw(t, "remove"), add: some.Draw(t, "add")}
				before := maps.Clone(model[link])
				if c.replace {
					model[link] = map[peer.ID]bool{}
				}
				for _, p := range c.remove {
					delete(model[link], p)
				}
				for _, p := range c.add {
					model[link][p] = true
				}
				removed, ok := r.apply(link, streams[link], c)
				if !ok {
					t.Fatal("a link's update was refused")
				}
				for p := range before {
					if slices.Contains(removed, p) == model[link][p] {
						t.Fatalf("%s: reported removed: %v", p, !model[link][p])
					}
				}
			},
			"": func(t *rapid.T) {
				for _, src := range ids {
					for _, dst := range ids {
						compare(t, r, model, src, dst)
					}
				}
			},
		})
	})
}

func compare(t *rapid.T, r *roster, model map[peer.ID]map[peer.ID]bool, src, dst peer.ID) {
	in := func(p, link peer.ID) bool { return model[link] != nil && (model[p] != nil || model[link][p]) }
	together := model[src] != nil && in(dst, src)
	for link := range model {
		together = together || model[link][src] && in(dst, link)
	}
	want := r.open || model[dst] != nil || together
	got, allowed := r.judge(src, dst)
	if allowed != want {
		t.Fatalf("%s to %s: allowed=%v, want %v (links %v)", src, dst, allowed, want, model)
	}
	if stranger := !r.open && model[dst] != nil && !in(src, dst); allowed && got.stranger != stranger {
		t.Fatalf("%s to %s: stranger=%v, want %v", src, dst, got.stranger, stranger)
	}
}

func TestMembersOutliveTheirLinkForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link, member := peer.ID("link"), peer.ID("member")
		r := newRoster(false)
		r.setLinks([]peer.ID{link})
		v := &silent{}
		r.attach(link, v, "")
		r.apply(link, v, change{add: []peer.ID{member}})

		expired := make(chan []peer.ID, 1)
		r.detach(link, v, func(removed []peer.ID) { expired <- removed })
		time.Sleep(vouchGrace - time.Second)
		if r.role(member) != Member {
			t.Error("a member lost its standing while its link restarted")
		}
		again := &silent{}
		r.attach(link, again, "")
		time.Sleep(2 * vouchGrace)
		if r.role(member) != Member {
			t.Error("a member lost its standing although its link is back")
		}
		r.detach(link, v, nil) // the old stream has no say any more
		r.detach(link, again, func(removed []peer.ID) { expired <- removed })
		if removed := <-expired; !slices.Equal(removed, []peer.ID{member}) {
			t.Errorf("expired: %v", removed)
		}
		if r.role(member) != Stranger {
			t.Error("a member outlived its link")
		}
	})
}

func TestRosterBoundsMembers(t *testing.T) {
	link := peer.ID("link")
	r := newRoster(false)
	r.setLinks([]peer.ID{link})
	v := &silent{}
	r.attach(link, v, "")
	many := make([]peer.ID, maxMembers)
	for i := range many {
		many[i] = peer.ID(fmt.Sprint(i))
	}
	if _, ok := r.apply(link, v, change{replace: true, add: many}); !ok {
		t.Error("the most members that are allowed were refused")
	}
	if _, ok := r.apply(link, v, change{add: []peer.ID{"one more"}}); ok {
		t.Error("one member too many was taken")
	}
}
