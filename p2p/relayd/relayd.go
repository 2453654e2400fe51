package relayd

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/daemon"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/doctor"
	"github.com/rhizome-fl/rhizome/p2p/relay"
)

// Daemon is a relay. Open makes one, Run serves until its context ends, Close gives everything
// back; Status and AdminHandler may be used at any time in between.
type Daemon struct {
	cfg      Config
	daemon   daemon.Daemon
	dir      *datadir.Dir
	host     *p2p.Host
	service  *relay.Relay
	registry *prometheus.Registry
	metrics  net.Listener // nil: none
}

// Status is what a relay knows about itself.
type Status struct {
	PeerID    string       `json:"peer_id"`
	Addresses []string     `json:"addresses"`
	Relay     relay.Status `json:"relay"`
}

// Open takes the data directory and the ports. Peers are relayed for from then on. An error
// leaves nothing behind.
func Open(ctx context.Context, cfg Config) (*Daemon, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	d := &Daemon{cfg: cfg, registry: prometheus.NewRegistry()}
	err := d.daemon.Open(ctx,
		daemon.Step{Name: "data", Open: d.openData},
		daemon.Step{Name: "overlay", Open: d.openOverlay},
		daemon.Step{Name: "relay service", Open: d.openService},
		daemon.Step{Name: "metrics", Open: d.openMetrics},
	)
	if err != nil {
		return nil, err
	}
	if d.metrics != nil {
		d.daemon.Part("metrics", d.serveMetrics)
	}
	return d, nil
}

// Run serves until ctx ends, which is no error, or a part fails.
func (d *Daemon) Run(ctx context.Context) error { return d.daemon.Run(ctx) }

// Close gives back ports and the data directory. Run must have returned.
func (d *Daemon) Close() error { return d.daemon.Close() }

// Status of the relay as it is now. Its addresses have its peer id, ready to be handed on.
func (d *Daemon) Status() Status {
	s := Status{PeerID: d.host.ID().String(), Relay: d.service.Status()}
	for _, address := range d.host.Addresses() {
		s.Addresses = append(s.Addresses, address.String()+"/p2p/"+s.PeerID)
	}
	return s
}

// AdminHandler serves what commands ask of a running relay. Serve it on the admin socket only.
func (d *Daemon) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { admin.WriteJSON(w, d.Status()) })
	return mux
}

func (d *Daemon) openData(context.Context) (err error) {
	if d.dir, err = datadir.Open(d.cfg.DataDir, "relay"); err != nil {
		return err
	}
	d.daemon.Opened(d.dir.Close)
	return nil
}

func (d *Daemon) openOverlay(context.Context) (err error) {
	d.host, err = p2p.Open(d.dir, p2p.Config{Kind: p2p.RelayHost, Overlay: d.cfg.Overlay, UserAgent: d.cfg.Software})
	if err != nil {
		return err
	}
	d.daemon.Opened(d.host.Close)
	return nil
}

func (d *Daemon) openService(context.Context) (err error) {
	d.service, err = relay.New(d.host, relay.Options{
		Links: d.cfg.Links, Open: d.cfg.Open, Limits: d.cfg.Limits, Registerer: d.registry,
	})
	if err != nil {
		return err
	}
	d.daemon.Opened(d.service.Close)
	answers := doctor.Serve(d.host, nil)
	d.daemon.Opened(func() error { answers.Close(); return nil })
	return nil
}

func (d *Daemon) openMetrics(ctx context.Context) (err error) {
	d.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if d.cfg.Metrics == "" {
		return nil
	}
	if d.metrics, err = d.daemon.Listen(ctx, d.cfg.Metrics); err != nil {
		return fmt.Errorf("take the address: %w", err)
	}
	return nil
}

func (d *Daemon) serveMetrics(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{}))
	return daemon.ServeHTTP(ctx, d.metrics, mux)
}
