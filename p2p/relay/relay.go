package relay

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/p2p/streams"
)

var log = logs.For("p2p/relay")

// Relay serves circuits on a host. Its methods may be called from any goroutine.
type Relay struct {
	host    host.Host
	options Options
	service *circuit.Relay

	roster   *roster
	books    *books
	pacer    *pacer[peer.ID] // the relay's rate, shared by federations
	refusals *refusals
	metrics  *metrics

	vouches, standings *streams.Server

	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup // hop requests and circuits
}

// New starts the relay service on h. It needs no reachability verdict: whoever starts a
// relay says that others can reach it. Close it before the host.
func New(h host.Host, options Options) (*Relay, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, err
	}
	r := &Relay{
		host:     h,
		options:  options,
		roster:   newRoster(options.Open),
		books:    newBooks(options.Limits),
		pacer:    newPacer[peer.ID](options.Limits.Rate),
		refusals: newRefusals(),
	}
	r.roster.setLinks(options.Links)
	var err error
	if r.metrics, err = newMetrics(options.Registerer, r); err != nil {
		return nil, fmt.Errorf("register metrics of the relay: %w", err)
	}
	if r.service, err = circuit.New(&serviceHost{Host: h, relay: r}, options.circuitOptions(h)...); err != nil {
		r.metrics.unregister()
		return nil, fmt.Errorf("start circuit v2 service: %w", err)
	}
	r.vouches = streams.Serve(h, VouchProtocol, streams.Options{
		Places: maxVouches, PerPeer: vouchesPerLink, First: handshakeTimeout, Writes: handshakeTimeout,
	}, r.serveVouch)
	r.standings = streams.Serve(h, StandingProtocol, streams.Options{
		Places: maxAskers, PerPeer: asksPerPeer, Whole: handshakeTimeout,
	}, r.serveStanding)
	return r, nil
}

// Close stops the service, cuts all circuits and waits for what it started.
func (r *Relay) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.mu.Unlock()
	r.vouches.Close()
	r.standings.Close()
	err := r.service.Close()
	closing := refuse(ReasonClosing, "the relay shuts down")
	for _, s := range r.books.find(func(*stream) bool { return true }) {
		s.cut(closing)
	}
	r.roster.close()
	r.work.Wait()
	r.metrics.unregister()
	if err != nil {
		return fmt.Errorf("close circuit v2 service: %w", err)
	}
	return nil
}

// SetLinks replaces the links that the relay serves. Circuits and members of links that
// are not named any more are cut off before it returns.
func (r *Relay) SetLinks(links []peer.ID) error {
	if len(links) == 0 && !r.options.Open {
		return ErrServesNobody
	}
	if err := validateLinks(links); err != nil {
		return err
	}
	gone := r.roster.setLinks(links)
	r.cutOff(gone)
	return nil
}

// enter counts one piece of work, or is false when the relay is closed.
func (r *Relay) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.work.Add(1)
	}
	return !r.closed
}

// cutOff enforces the roster on peers that lost a standing: circuits that would not be
// allowed now end, and whoever has no standing left loses its connection, and with it
// the reservation, which circuit v2 has no other way to take back.
func (r *Relay) cutOff(peers []peer.ID) {
	if len(peers) == 0 || !r.enter() {
		return
	}
	defer r.work.Done()
	lost := make(map[peer.ID]bool, len(peers))
	for _, p := range peers {
		lost[p] = true
	}
	concerned := r.books.find(func(s *stream) bool { return lost[s.src] || lost[s.dst] })
	for _, s := range concerned {
		verdict, allowed := r.roster.judge(s.src, s.dst)
		if allowed && (!verdict.stranger || r.books.stranger(s)) {
			continue
		}
		gone := s.dst
		if lost[s.src] {
			gone = s.src
		}
		s.halt(revoked(gone))
		// Telling a peer that does not read may take a while, and must not delay others.
		r.work.Go(func() { _ = s.Stream.Reset() })
	}
	for _, p := range peers {
		if r.roster.role(p) == Stranger {
			r.refusals.add(p, revoked(p))
			r.work.Go(func() { r.disconnect(p) })
		}
	}
}

func (r *Relay) disconnect(p peer.ID) {
	if err := r.host.Network().ClosePeer(p); err != nil {
		log.Debug("closing the connection of a peer that lost its standing", "peer", p, "err", err)
	}
}

// refused notes a refusal where it can be found: log, metrics, and [Ask].
func (r *Relay) refused(p peer.ID, what string, refusal *Refusal) {
	log.Info("refused", "peer", p, "what", what, "reason", refusal.Reason, "detail", refusal.Detail)
	r.metrics.refused(what, refusal.Reason)
	r.refusals.add(p, refusal)
}

// ended takes a stream that is over off the books.
func (r *Relay) ended(s *stream) {
	if r.books.close(s) {
		r.metrics.closed(s.route.federation)
		r.work.Done()
	}
}

// Status is what the relay carries now.
type Status struct {
	Open        bool
	Circuits    int
	Federations []FederationStatus // by link
}

// FederationStatus is the part of one link.
type FederationStatus struct {
	Link     peer.ID
	Name     string // as the link calls it; empty before it vouched
	Vouching bool   // the link is connected and vouches
	Members  int
	Circuits int
	// Bytes carried in the current [Window].
	Bytes int64
}

// Status of the relay.
func (r *Relay) Status() Status {
	status := Status{Open: r.options.Open, Federations: r.roster.status()}
	status.Circuits = r.books.fill(status.Federations)
	slices.SortFunc(status.Federations, func(a, b FederationStatus) int { return cmp.Compare(a.Link, b.Link) })
	return status
}
