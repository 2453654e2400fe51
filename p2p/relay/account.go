package relay

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// account is what an owner or a federation uses.
type account struct {
	circuits  int
	strangers int // of a federation: circuits of strangers among them
	used      int64
	ends      time.Time // of the budget's window; zero before the first byte

	byCircuit *pacer[*stream] // an owner's rate, shared by its circuits
	byOwner   *pacer[peer.ID] // a federation's rate, shared by its owners
}

// renew starts a new window when the last one is over.
func (a *account) renew(now time.Time) {
	if now.After(a.ends) {
		a.used, a.ends = 0, now.Add(Window)
	}
}

func (a *account) idle(now time.Time) bool {
	return a.circuits == 0 && (a.used == 0 || now.After(a.ends))
}

// books are the accounts of all owners and federations and the circuits that they have.
// What is remembered of them is bounded by maxAccounts.
type books struct {
	limits Limits

	mu          sync.Mutex
	owners      map[peer.ID]*account
	federations map[peer.ID]*account
	circuits    map[*stream]struct{}
	sweepAt     int
}

func newBooks(limits Limits) *books {
	return &books{
		limits:      limits,
		owners:      make(map[peer.ID]*account),
		federations: make(map[peer.ID]*account),
		circuits:    make(map[*stream]struct{}),
		sweepAt:     minSweep,
	}
}

// open books a circuit, or says which limit stands against it. Every booked circuit must
// be closed once.
func (b *books) open(s *stream) *Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	owner, fed := b.account(b.owners, s.route.owner, now), b.account(b.federations, s.route.federation, now)
	if r := b.against(s.route, owner, fed); r != nil {
		return r
	}
	owner.circuits++
	fed.circuits++
	if s.route.stranger {
		fed.strangers++
	}
	b.circuits[s] = struct{}{}
	if owner.byCircuit == nil {
		owner.byCircuit = newPacer[*stream](b.limits.PeerRate)
	}
	if fed.byOwner == nil {
		fed.byOwner = newPacer[peer.ID](b.limits.FederationRate)
	}
	s.byCircuit, s.byOwner = owner.byCircuit, fed.byOwner
	return nil
}

// against names the first limit that a new circuit of the route would exceed.
func (b *books) against(r route, owner, fed *account) *Refusal {
	l := b.limits
	switch {
	case len(b.circuits) >= l.Circuits:
		return refuse(ReasonRelayFull, "the relay carries %d circuits, its limit: use another relay, or ask its operator for more", l.Circuits)
	case r.stranger && owner.circuits >= StrangerCircuits:
		return refuse(ReasonPeerCircuits, "no link vouches for this peer, and it has %d circuits, all it may have until it joined", StrangerCircuits)
	case r.stranger && fed.strangers >= StrangersPerLink:
		return refuse(ReasonStrangers, "%d peers that are no members knock at this link already: try again in a minute", StrangersPerLink)
	case owner.circuits >= l.PeerCircuits:
		return refuse(ReasonPeerCircuits, "this peer has %d circuits, its limit: close some, or ask the relay's operator for more", l.PeerCircuits)
	case fed.circuits >= l.FederationCircuits:
		return refuse(ReasonFederationCircuits, "the federation has %d circuits, its limit: ask the relay's operator for more", l.FederationCircuits)
	}
	return b.spent(owner, fed)
}

// spent names the byte budget that is used up, if one is.
func (b *books) spent(owner, fed *account) *Refusal {
	if l := b.limits.PeerBytes; l > 0 && owner.used >= l {
		return refuse(ReasonPeerBytes, "this peer used its %d bytes; there are new ones at %s", l, owner.ends.UTC().Format(time.RFC3339))
	}
	if l := b.limits.FederationBytes; l > 0 && fed.used >= l {
		return refuse(ReasonFederationBytes, "the federation used its %d bytes; there are new ones at %s", l, fed.ends.UTC().Format(time.RFC3339))
	}
	return nil
}

// charge counts n bytes of a circuit and says whether a limit ends it now.
func (b *books) charge(s *stream, n int) *Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	owner, fed := b.account(b.owners, s.route.owner, now), b.account(b.federations, s.route.federation, now)
	if r := b.spent(owner, fed); r != nil {
		return r
	}
	owner.used += int64(n)
	fed.used += int64(n)
	s.bytes += int64(n)
	if s.route.stranger && s.bytes > StrangerBytes {
		return refuse(ReasonStrangerBytes, "no link vouches for this peer, and its circuit carried the %d bytes that joining may take", StrangerBytes)
	}
	return nil
}

// close takes a circuit off the books, if it is on them.
func (b *books) close(s *stream) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := b.circuits[s]; !open {
		return false
	}
	delete(b.circuits, s)
	b.owners[s.route.owner].circuits--
	fed := b.federations[s.route.federation]
	fed.circuits--
	if s.route.stranger {
		fed.strangers--
	}
	return true
}

// promote lifts the limits of strangers from the circuits that a new member has to its
// link.
func (b *books) promote(link peer.ID, members []peer.ID) {
	joined := make(map[peer.ID]bool, len(members))
	for _, p := range members {
		joined[p] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.circuits {
		if s.route.stranger && s.route.federation == link && joined[s.route.owner] {
			s.route.stranger = false
			b.federations[link].strangers--
		}
	}
}

// find returns the open circuits that match.
func (b *books) find(match func(*stream) bool) []*stream {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*stream
	for s := range b.circuits {
		if match(s) {
			found = append(found, s)
		}
	}
	return found
}

// stranger reports whether the circuit is one that only joins.
func (b *books) stranger(s *stream) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return s.route.stranger
}

// usage of an owner: bytes of this window and open circuits.
func (b *books) usage(p peer.ID) (used int64, circuits int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.owners[p]
	if a == nil {
		return 0, 0
	}
	if time.Now().After(a.ends) {
		return 0, a.circuits
	}
	return a.used, a.circuits
}

// fill adds what the books know to the status of federations, and returns the number of
// all circuits.
func (b *books) fill(all []FederationStatus) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range all {
		if a := b.federations[all[i].Link]; a != nil {
			all[i].Circuits = a.circuits
			if !time.Now().After(a.ends) {
				all[i].Bytes = a.used
			}
		}
	}
	return len(b.circuits)
}

func (b *books) account(of map[peer.ID]*account, p peer.ID, now time.Time) *account {
	a := of[p]
	if a == nil {
		b.sweep(of, now)
		a = &account{}
		of[p] = a
	}
	a.renew(now)
	return a
}

// sweep forgets accounts that are not in use. When all of them are, as strangers in open
// mode can bring about with a byte each, those without a circuit go before their time:
// giving them a new budget costs less than memory without end.
func (b *books) sweep(of map[peer.ID]*account, now time.Time) {
	if len(of) < b.sweepAt {
		return
	}
	crowded := len(of) >= maxAccounts
	for p, a := range of {
		if a.idle(now) || crowded && a.circuits == 0 {
			delete(of, p)
		}
	}
	b.sweepAt = min(2*len(of)+minSweep, maxAccounts)
}
