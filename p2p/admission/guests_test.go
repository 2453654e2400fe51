package admission

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// A relay of ours, whose circuits are told by its peer id.
const relayID = "12D3KooWGzBXWNvHpLALvNVzpSTVkuUcHZXhCx6cQGmLnmHvbSu8"

// door is a guest list in virtual time, and a gate that can be moved.
type door struct {
	*guestList
	t     *testing.T
	gate  members
	count int
}

// atTheDoor runs a test in virtual time, in which every guest is a peer of its own.
func atTheDoor(t *testing.T, test func(*door)) {
	synctest.Test(t, func(t *testing.T) {
		d := &door{t: t}
		d.gate.ticket = true
		var work sync.WaitGroup
		d.guestList = newGuestList(d.gate.Admit, func(f func()) { work.Go(f) })
		test(d)
		d.close()
		work.Wait()
	})
}

// visitor is a connection that somebody made.
type visitor struct {
	inbound
	d    *door
	id   peer.ID
	mu   sync.Mutex
	code *network.ConnErrorCode // it was closed with
}

func (v *visitor) RemotePeer() peer.ID { return v.id }

func (v *visitor) CloseWithError(code network.ConnErrorCode) error {
	v.mu.Lock()
	v.code = &code
	v.mu.Unlock()
	v.d.gone(v)
	return nil
}

// is tells what has become of a visitor.
func (v *visitor) is() string {
	synctest.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.code == nil:
		return "in"
	case *v.code == network.ConnResourceLimitExceeded:
		return "no place"
	case *v.code == network.ConnGarbageCollected:
		return "come again"
	case *v.code == network.ConnGated:
		return "refused"
	}
	return fmt.Sprint("closed with ", *v.code)
}

func (v *visitor) want(state string) {
	v.d.t.Helper()
	if got := v.is(); got != state {
		v.d.t.Errorf("a guest from %s: %s, want %s", v.addr, got, state)
	}
}

// come has peers arrive, one after the other.
func (d *door) come(n int, from string) []*visitor {
	all := make([]*visitor, n)
	for i := range all {
		d.count++
		all[i] = &visitor{inbound: inbound{addr: ma.StringCast(from)}, d: d, id: peer.ID(fmt.Sprint("peer ", d.count))}
		d.admit(all[i])
		time.Sleep(time.Microsecond) // so that one is older
	}
	return all
}

// inside counts those of some visitors that have a place.
func inside(all []*visitor) (n int) {
	for _, v := range all {
		if v.is() == "in" {
			n++
		}
	}
	return n
}

func here(n int) string { return fmt.Sprintf("/ip4/11.0.0.%d/tcp/1", n) }

func TestLobbyIsBounded(t *testing.T) {
	atTheDoor(t, func(d *door) {
		var all []*visitor
		for i := range 8 {
			all = append(all, d.come(lobbyPeers/4, here(i))...)
		}
		if n := inside(all); n != lobbyPeers {
			t.Errorf("%d guests", n)
		}
		for _, v := range all[lobbyPeers:] {
			v.want("no place")
		}
		for _, v := range all {
			d.gone(v)
		}
		if len(d.guests) != 0 || d.taken != 0 || len(d.silent) != 0 {
			t.Errorf("%d guests stay, in %d places, from %d origins", len(d.guests), d.taken, len(d.silent))
		}
	})
}

func TestSilentGuestsHaveAShare(t *testing.T) {
	circuit := func(relay string) string { return here(1) + "/p2p/" + relay + "/p2p-circuit" }
	for name, test := range map[string]struct {
		from  []string // one origin
		other string
		share int
	}{
		"IPv4 address": {from: []string{here(1), "/ip4/11.0.0.1/udp/2/quic-v1", "/ip6/::ffff:11.0.0.1/tcp/1"}, other: here(2), share: addressGuests},
		"IPv6 /56":     {from: []string{"/ip6/2a00::1/tcp/1", "/ip6/2a00:0:0:ff::1/tcp/1"}, other: "/ip6/2a00:0:0:100::1/tcp/1", share: addressGuests},
		"relay":        {from: []string{circuit(relayID)}, other: here(1), share: relayGuests},
		"no address":   {from: []string{"/dns4/nowhere.example/tcp/1", "/p2p-circuit"}, other: here(1), share: addressGuests},
	} {
		t.Run(name, func(t *testing.T) {
			atTheDoor(t, func(d *door) {
				var all []*visitor
				for i := range test.share {
					all = append(all, d.come(1, test.from[i%len(test.from)])...)
				}
				for i := range test.from {
					d.come(1, test.from[i])[0].want("no place")
				}
				if n := inside(all); n != test.share {
					t.Errorf("%d of %d have a place", n, test.share)
				}
				d.come(1, test.other)[0].want("in")
			})
		})
	}
}

// Whoever comes from an address that is flooded takes the place of the oldest one from there that is
// silent, once that has had its time; nobody from elsewhere has to go.
func TestTheOldestSilentGuestOfAnAddressMakesRoom(t *testing.T) {
	atTheDoor(t, func(d *door) {
		elsewhere := d.come(1, here(2))[0]
		first := d.come(2, here(1))
		showed := first[0]
		d.showed(showed)
		crowd := d.come(addressGuests-1, here(1)) // with first[1] that is the share
		d.come(1, here(1))[0].want("no place")
		time.Sleep(leastTime)
		d.come(1, here(1))[0].want("in")
		first[1].want("come again")
		d.come(1, here(1))[0].want("in")
		crowd[0].want("come again")
		if n := inside(crowd); n != len(crowd)-1 {
			t.Errorf("%d had to go for one", len(crowd)-n)
		}
		showed.want("in")
		elsewhere.want("in")
	})
}

func TestTheOldestSilentGuestMakesRoomInAFullLobby(t *testing.T) {
	atTheDoor(t, func(d *door) {
		showed := d.come(2, here(1))
		d.showed(showed[0])
		d.showed(showed[1])
		oldest := d.come(1, here(3))[0]
		d.come(addressGuests, here(1))
		d.come(lobbyPeers-addressGuests-3, here(2))
		early := d.come(1, here(4))[0]
		early.want("no place")
		time.Sleep(leastTime)
		d.come(1, here(4))[0].want("in")
		oldest.want("come again")
		for _, v := range showed {
			v.want("in")
		}
	})
}

// A lobby full of guests that are about to join does not put any of them out.
func TestWhoShowedATicketNeverMakesRoom(t *testing.T) {
	atTheDoor(t, func(d *door) {
		all := d.come(lobbyPeers/2, here(1))
		for _, v := range all {
			d.showed(v)
		}
		more := d.come(lobbyPeers/2, here(1)) // those who have shown a ticket are not in its share
		for _, v := range more {
			d.showed(v)
		}
		all = slices.Concat(all, more)
		time.Sleep(2 * leastTime)
		d.come(1, here(1))[0].want("no place")
		d.come(1, here(2))[0].want("no place")
		if n := inside(all); n != lobbyPeers {
			t.Errorf("%d of %d are left", n, lobbyPeers)
		}
	})
}

func TestASilentGuestMustGo(t *testing.T) {
	atTheDoor(t, func(d *door) {
		quiet := d.come(1, here(1))[0]
		late := d.come(1, here(1))[0]
		refused := d.come(1, here(1))[0]
		time.Sleep(silentTime - time.Millisecond)
		quiet.want("in")
		d.showed(late)
		d.gate.revoke(refused.id)
		time.Sleep(time.Second)
		quiet.want("come again")
		refused.want("refused")
		late.want("in")
		d.showed(late) // showing it again does not lengthen the time
		time.Sleep(lobbyTime - silentTime - 2*time.Second)
		late.want("in")
		time.Sleep(2 * time.Second)
		late.want("come again")
	})
}

// Whom the lobby puts out can open nothing while its connection is being closed.
func TestWhoLeavesOpensNoStream(t *testing.T) {
	atTheDoor(t, func(d *door) {
		hold := make(chan struct{})
		d.background = func(f func()) {
			go func() { <-hold; f() }()
		}
		v := d.come(1, here(1))[0]
		if !d.enter(v) {
			t.Error("a guest has no stream")
		}
		time.Sleep(silentTime + time.Second)
		synctest.Wait()
		if d.enter(v) {
			t.Error("a guest that has to go has a stream")
		}
		d.showed(v) // too late
		d.leave(v)
		close(hold)
		v.want("come again")
		if d.taken != 0 || len(d.silent) != 0 {
			t.Errorf("%d places are taken, %d silent", d.taken, len(d.silent))
		}
	})
}

// Who has joined, or was allowed by hand, is no guest any more.
func TestMembersGiveTheirPlaceBack(t *testing.T) {
	atTheDoor(t, func(d *door) {
		joined := d.come(1, here(1))[0]
		d.enter(joined)
		d.showed(joined)
		d.gate.add(joined.id)
		d.leave(joined)
		if d.taken != 0 {
			t.Error("it has a place")
		}
		allowed := d.come(1, here(1))[0]
		d.come(addressGuests-1, here(1))
		d.gate.add(allowed.id)
		d.come(1, here(1))[0].want("in") // in its place, at once
		time.Sleep(lobbyTime)
		joined.want("in")
		allowed.want("in")
	})
}
