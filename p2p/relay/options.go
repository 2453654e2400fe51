package relay

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/prometheus/client_golang/prometheus"
)

// ErrServesNobody: neither a link is allowed nor open mode asked for.
var ErrServesNobody = errors.New("the relay would serve nobody: allow a link by its peer id, or ask for open mode")

// Options of a relay.
type Options struct {
	// Links whose federations the relay serves. [Relay.SetLinks] changes them later.
	Links []peer.ID
	// Open lets anybody use the relay, within the limits.
	Open bool
	// Limits; the zero value has no byte or rate limits.
	Limits Limits
	// BufferSize in bytes of each direction of a circuit; default [DefaultBufferSize].
	BufferSize int
	// Registerer receives the metrics, this package's and those of circuit v2. Nil: none.
	Registerer prometheus.Registerer
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.withDefaults()
	if o.BufferSize == 0 {
		o.BufferSize = DefaultBufferSize
	}
	return o
}

func (o Options) validate() error {
	if len(o.Links) == 0 && !o.Open {
		return ErrServesNobody
	}
	if err := validateLinks(o.Links); err != nil {
		return err
	}
	if o.BufferSize < minBufferSize || o.BufferSize > maxBufferSize {
		return fmt.Errorf("relay buffer size is %d bytes: want %d to %d", o.BufferSize, minBufferSize, maxBufferSize)
	}
	return o.Limits.validate()
}

func validateLinks(links []peer.ID) error {
	if len(links) > maxLinks {
		return fmt.Errorf("%d links to relay for: at most %d", len(links), maxLinks)
	}
	for _, id := range links {
		if err := id.Validate(); err != nil {
			return fmt.Errorf("link to relay for: %w", err)
		}
	}
	return nil
}

// circuitOptions sizes go-libp2p's service. Its own limits are set to where ours bind
// first, since it knows neither members nor federations; only what circuit v2 announces
// to the ends of a circuit is left to it.
func (o Options) circuitOptions(h host.Host) []circuit.Option {
	perIP := maxReservations
	if o.Open {
		perIP = openReservationsPerIP
	}
	options := []circuit.Option{
		circuit.WithResources(circuit.Resources{
			Limit:                 announcedLimit(o.Limits),
			ReservationTTL:        reservationTTL,
			MaxReservations:       maxReservations,
			MaxCircuits:           math.MaxInt,
			BufferSize:            o.BufferSize,
			MaxReservationsPerIP:  perIP,
			MaxReservationsPerASN: maxReservations,
		}),
		circuit.WithReservationAddressFilter(dialable(h)),
	}
	if o.Registerer != nil {
		options = append(options, circuit.WithMetricsTracer(circuit.NewMetricsTracer(circuit.WithRegisterer(o.Registerer))))
	}
	return options
}

// announcedLimit is nil unless a limit of single circuits is set: with any, the ends treat
// their connection as a limited one.
func announcedLimit(l Limits) *circuit.RelayLimit {
	if l.CircuitBytes == 0 && l.CircuitTime == 0 {
		return nil
	}
	limit := &circuit.RelayLimit{Data: l.CircuitBytes, Duration: l.CircuitTime}
	if limit.Data == 0 {
		limit.Data = math.MaxInt64
	}
	if limit.Duration == 0 {
		limit.Duration = math.MaxUint32 * time.Second // the most that circuit v2 can say
	}
	return limit
}

// dialable chooses the addresses that a reservation names: public ones, as usual, but all
// of them when the relay has only private ones, as in a LAN or a laboratory.
func dialable(h host.Host) circuit.ReservationAddressFilterFunc {
	return func(addr ma.Multiaddr) bool {
		if manet.IsPublicAddr(addr) {
			return true
		}
		return !slices.ContainsFunc(h.Addrs(), manet.IsPublicAddr)
	}
}
