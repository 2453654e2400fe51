package relay

import (
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
)

// Reason is the stable name of why something was refused or cut, for metrics and programs.
type Reason string

const (
	ReasonNotAllowed         Reason = "not-allowed"
	ReasonOtherFederation    Reason = "other-federation"
	ReasonRevoked            Reason = "revoked"
	ReasonNoReservation      Reason = "no-reservation"
	ReasonDestination        Reason = "destination-failed"
	ReasonRelayFull          Reason = "relay-full"
	ReasonPeerCircuits       Reason = "peer-circuits"
	ReasonFederationCircuits Reason = "federation-circuits"
	ReasonPeerBytes          Reason = "peer-bytes"
	ReasonFederationBytes    Reason = "federation-bytes"
	ReasonStrangerBytes      Reason = "stranger-bytes"
	ReasonStrangerTime       Reason = "stranger-time"
	ReasonStrangers          Reason = "strangers"
	ReasonMalformed          Reason = "malformed"
	ReasonClosing            Reason = "closing"
)

// Refusal is a "no" of the relay, or the cut of a circuit.
type Refusal struct {
	Reason Reason
	// Detail names the limit and what can be done about it, for people.
	Detail string
	At     time.Time
}

// refuse makes a Refusal with a detail for people.
func refuse(reason Reason, detail string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(detail, args...), At: time.Now()}
}

// Error makes a Refusal usable as the error of a circuit that was cut.
func (r *Refusal) Error() string {
	return fmt.Sprintf("relay: %s: %s", r.Reason, r.Detail)
}

// status is the nearest that circuit v2 can say.
func (r *Refusal) status() pbv2.Status {
	switch r.Reason {
	case ReasonNotAllowed, ReasonOtherFederation, ReasonRevoked:
		return pbv2.Status_PERMISSION_DENIED
	case ReasonMalformed:
		return pbv2.Status_MALFORMED_MESSAGE
	}
	return pbv2.Status_RESOURCE_LIMIT_EXCEEDED
}

// explained turns a status that go-libp2p's service answered into words, nil if it is a yes.
func explained(status pbv2.Status, dst peer.ID) *Refusal {
	switch status {
	case pbv2.Status_OK:
		return nil
	case pbv2.Status_NO_RESERVATION:
		return refuse(ReasonNoReservation, "%s has no reservation here: it is not connected to this relay now", dst)
	case pbv2.Status_CONNECTION_FAILED:
		return refuse(ReasonDestination, "the relay could not open the circuit at its other end (%s)", dst)
	case pbv2.Status_RESERVATION_REFUSED:
		return refuse(ReasonRelayFull, "the relay has no room for another reservation from this address")
	case pbv2.Status_PERMISSION_DENIED:
		return refuse(ReasonNotAllowed, "not over a connection that is itself relayed, or the relay is closing")
	}
	return refuse(ReasonRelayFull, "the relay's resource manager has no room: have its operator raise it, or use another relay")
}

func revoked(p peer.ID) *Refusal {
	return refuse(ReasonRevoked, "the link that vouched for %s does so no longer", p)
}

// refusals remembers the last refusal of each peer, the oldest leaving first.
type refusals struct {
	mu    sync.Mutex
	last  map[peer.ID]*Refusal
	order []peer.ID // by first refusal since the peer was forgotten
}

func newRefusals() *refusals { return &refusals{last: make(map[peer.ID]*Refusal)} }

func (m *refusals) add(p peer.ID, r *Refusal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.last[p]; !known {
		if len(m.order) == maxRefusals {
			delete(m.last, m.order[0])
			m.order = m.order[1:]
		}
		m.order = append(m.order, p)
	}
	m.last[p] = r
}

// of returns nil when there is none.
func (m *refusals) of(p peer.ID) *Refusal {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last[p]
}
