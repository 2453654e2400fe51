package relay

import (
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Role is what a peer is to the relay.
type Role int

const (
	// Stranger: nobody vouches for it. It may reach links, to join.
	Stranger Role = iota
	// Member: a link vouches for it.
	Member
	// Link: on the operator's allow-list.
	Link
	// Anybody: a stranger of a relay in open mode, which may do everything.
	Anybody
)

func (r Role) String() string {
	if names := [...]string{"stranger", "member", "link", "anybody"}; r >= 0 && int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("role %d", int(r)) // of a relay newer than this program
}

// openFederation is the federation of circuits that belong to no link, in open mode.
const openFederation = peer.ID("")

// roster knows who is what. A federation is named by its link.
type roster struct {
	open bool

	mu       sync.RWMutex
	links    map[peer.ID]*federation
	memberOf map[peer.ID]map[peer.ID]struct{} // member -> links that vouch for it
}

// federation is what a link vouches for.
//
//	          first update                     stream lost
//	unknown ───────────────► vouched (stream) ─────────────► vouched (grace)
//	   ▲                          ▲                              │    │
//	   │                          └────── link vouches anew ─────┘    │
//	   └──────────────────────────── grace is over ───────────────────┘
type federation struct {
	name    string
	members map[peer.ID]struct{}
	stream  voice       // nil: the link is away
	grace   *time.Timer // ends the members of a link that stays away
}

// voice is a stream on which a link vouches; the newest one counts.
type voice interface{ close() }

func newRoster(open bool) *roster {
	return &roster{
		open:     open,
		links:    make(map[peer.ID]*federation),
		memberOf: make(map[peer.ID]map[peer.ID]struct{}),
	}
}

// role of a peer in its best standing.
func (r *roster) role(p peer.ID) Role {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.roleLocked(p)
}

func (r *roster) roleLocked(p peer.ID) Role {
	switch {
	case r.links[p] != nil:
		return Link
	case len(r.memberOf[p]) > 0:
		return Member
	case r.open:
		return Anybody
	}
	return Stranger
}

// route is the judgement about a circuit: whom it counts for.
type route struct {
	federation peer.ID // the link
	owner      peer.ID
	stranger   bool // the owner may only join
}

// judge reports whether src may have a circuit to dst, and whom it would count for.
func (r *roster) judge(src, dst peer.ID) (route, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.links[dst] != nil {
		return route{federation: dst, owner: src, stranger: !r.open && !r.belongsLocked(src, dst)}, true
	}
	if r.links[src] != nil && r.belongsLocked(dst, src) {
		return route{federation: src, owner: dst}, true
	}
	for link := range r.memberOf[src] {
		if r.belongsLocked(dst, link) {
			return route{federation: link, owner: src}, true
		}
	}
	return route{federation: openFederation, owner: src}, r.open
}

// belongsLocked reports whether p is a member of link's federation. Links are at home in
// any: two links that name each other's federation are the operator's own choice.
func (r *roster) belongsLocked(p, link peer.ID) bool {
	if r.links[p] != nil {
		return true
	}
	_, member := r.memberOf[p][link]
	return member
}

// setLinks replaces the allow-list and returns who lost a standing by it: links that left
// it, and those they vouched for.
func (r *roster) setLinks(links []peer.ID) (gone []peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keep := make(map[peer.ID]bool, len(links))
	for _, link := range links {
		keep[link] = true
		if r.links[link] == nil {
			r.links[link] = &federation{members: make(map[peer.ID]struct{})}
		}
	}
	for link, f := range r.links {
		if keep[link] {
			continue
		}
		gone = append(append(gone, link), r.applyLocked(link, f, change{replace: true})...)
		f.stopGrace()
		if f.stream != nil {
			f.stream.close()
		}
		delete(r.links, link)
	}
	return gone
}

// change is a whole update of a link: removals come before additions.
type change struct {
	replace     bool
	remove, add []peer.ID
}

// apply puts a change of link into force if stream is the one that speaks for it, and
// returns the members that are so no longer. ok is false when the stream was replaced,
// its link is not allowed any more, or the set would exceed maxMembers.
func (r *roster) apply(link peer.ID, stream voice, c change) (removed []peer.ID, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.links[link]
	if f == nil || f.stream != stream || f.sizeAfter(c) > maxMembers {
		return nil, false
	}
	return r.applyLocked(link, f, c), true
}

func (f *federation) sizeAfter(c change) int {
	if c.replace {
		return len(c.add)
	}
	return len(f.members) + len(c.add)
}

func (r *roster) applyLocked(link peer.ID, f *federation, c change) (removed []peer.ID) {
	before := f.members
	if c.replace {
		f.members = make(map[peer.ID]struct{}, len(c.add))
		for p := range before {
			removed = append(removed, p)
		}
	}
	for _, p := range c.remove {
		if _, was := before[p]; was && !c.replace {
			delete(f.members, p)
			removed = append(removed, p)
		}
	}
	for _, p := range c.add {
		f.members[p] = struct{}{}
	}
	left := removed[:0]
	for _, p := range removed {
		if _, still := f.members[p]; still {
			continue
		}
		left = append(left, p)
		if delete(r.memberOf[p], link); len(r.memberOf[p]) == 0 {
			delete(r.memberOf, p)
		}
	}
	for _, p := range c.add {
		if r.memberOf[p] == nil {
			r.memberOf[p] = make(map[peer.ID]struct{}, 1)
		}
		r.memberOf[p][link] = struct{}{}
	}
	return left
}

// attach makes stream the one that speaks for link, in place of any earlier one. It is
// false when the link is not allowed.
func (r *roster) attach(link peer.ID, stream voice, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.links[link]
	if f == nil {
		return false
	}
	if f.stream != nil {
		f.stream.close()
	}
	f.stopGrace()
	f.stream, f.name = stream, name
	return true
}

// detach starts the grace period of a link whose stream ended, unless another took over.
// expired is called, on a goroutine of its own, with what the link vouched for.
func (r *roster) detach(link peer.ID, stream voice, expired func(removed []peer.ID)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.links[link]
	if f == nil || f.stream != stream {
		return
	}
	f.stream = nil
	f.grace = time.AfterFunc(vouchGrace, func() {
		r.mu.Lock()
		var removed []peer.ID
		if r.links[link] == f && f.stream == nil {
			removed = r.applyLocked(link, f, change{replace: true})
		}
		r.mu.Unlock()
		expired(removed)
	})
}

func (f *federation) stopGrace() {
	if f.grace != nil {
		f.grace.Stop()
		f.grace = nil
	}
}

// close stops all timers.
func (r *roster) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.links {
		f.stopGrace()
	}
}

// status of the federations, without what is in the books.
func (r *roster) status() []FederationStatus {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]FederationStatus, 0, len(r.links))
	for link, f := range r.links {
		all = append(all, FederationStatus{Link: link, Name: f.name, Vouching: f.stream != nil, Members: len(f.members)})
	}
	return all
}
