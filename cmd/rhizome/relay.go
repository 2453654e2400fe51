package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/doctor"
	"github.com/rhizome-fl/rhizome/p2p/relay"
)

// metricsReadLimit ends connections to the metrics port that send no request.
const metricsReadLimit = 10 * time.Second

func newRelay() *cobra.Command {
	var o relayOptions
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Carry the traffic of federations whose members can not reach each other",
		Long: `A relay has an address that others can dial and passes their encrypted streams on. It
serves the links that it is told to allow, and whom those links vouch for. What it
carries it can not read.`,
		Example: `  rhizome id --data ./hub                                # on the link: its peer id
  rhizome relay --data ./relay --allow-link 12D3KooW...   # on the relay`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	dataFlag(cmd, &o.data, "relay")
	overlayFlags(cmd, &o.overlay)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.links, "allow-link", nil, "`peer id` of a link to relay for (repeat for more)")
	flags.BoolVar(&o.open, "open", false, "relay for anybody, within the limits")
	flags.StringVar(&o.metrics, "metrics", "", "serve Prometheus metrics at this `host:port`")
	pprofFlag(cmd, &o.pprof)
	limits := &o.limits
	flags.Int64Var(&limits.PeerRate, "peer-rate", 0, "`bytes` per second for each peer (0: no limit)")
	flags.Int64Var(&limits.PeerBytes, "peer-bytes", 0, "`bytes` per day for each peer (0: no limit)")
	flags.IntVar(&limits.PeerCircuits, "peer-circuits", 0, "circuits of each peer at a time (0: 16)")
	flags.Int64Var(&limits.FederationRate, "federation-rate", 0, "`bytes` per second for each federation (0: no limit)")
	flags.Int64Var(&limits.FederationBytes, "federation-bytes", 0, "`bytes` per day for each federation (0: no limit)")
	flags.IntVar(&limits.FederationCircuits, "federation-circuits", 0, "circuits of each federation at a time (0: no limit)")
	flags.Int64Var(&limits.Rate, "rate", 0, "`bytes` per second for all together (0: no limit)")
	flags.IntVar(&limits.Circuits, "circuits", 0, "circuits at a time for all together (0: 2048)")
	flags.Int64Var(&limits.CircuitBytes, "circuit-bytes", 0, "`bytes` each way after which a circuit ends (0: no limit)")
	flags.DurationVar(&limits.CircuitTime, "circuit-time", 0, "time after which a circuit ends (0: no limit)")
	return cmd
}

type relayOptions struct {
	data    string
	overlay overlayOptions
	links   []string
	open    bool
	metrics string
	pprof   string
	limits  relay.Limits
}

// relayStatus is what GET /status of a relay answers.
type relayStatus struct {
	PeerID    string       `json:"peer_id"`
	Addresses []string     `json:"addresses"`
	Relay     relay.Status `json:"relay"`
}

func (o relayOptions) run(cmd *cobra.Command) (err error) {
	if err := o.overlay.parse(); err != nil {
		return err
	}
	links := make([]peer.ID, 0, len(o.links))
	for _, text := range o.links {
		id, err := peer.Decode(text)
		if err != nil {
			return usageError{fmt.Errorf("--allow-link %q is not a peer id: %v", text, err)}
		}
		links = append(links, id)
	}
	if len(links) == 0 && !o.open {
		return usageError{errors.New("nobody is allowed to use this relay: name a link with --allow-link, or say --open")}
	}
	dir, err := datadir.Open(o.data, "relay")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	cfg, err := o.overlay.config(dir, p2p.RelayHost)
	if err != nil {
		return err
	}
	host, err := p2p.NewHost(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	service, err := relay.New(host, relay.Options{Links: links, Open: o.open, Limits: o.limits, Registerer: registry})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	defer doctor.Serve(host, nil).Close()
	profiles, err := listenPprof(o.pprof)
	if err != nil {
		return err
	}
	return o.serve(cmd, dir, host, service, registry, profiles)
}

func (o relayOptions) serve(cmd *cobra.Command, dir *datadir.Dir, host *p2p.Host, service *relay.Relay, registry *prometheus.Registry, profiles net.Listener) error {
	status := func() relayStatus {
		return relayStatus{PeerID: host.ID().String(), Addresses: fullAddresses(host), Relay: service.Status()}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { admin.WriteJSON(w, status()) })
	var metrics net.Listener
	if o.metrics != "" {
		var err error
		if metrics, err = net.Listen("tcp", o.metrics); err != nil {
			return fmt.Errorf("serve metrics: %w", err)
		}
		defer metrics.Close()
	}
	socket, err := admin.Listen(dir.Path())
	if err != nil {
		return err
	}
	defer socket.Close()
	group, ctx := errgroup.WithContext(cmd.Context())
	group.Go(func() error { return socket.Serve(ctx, mux) })
	group.Go(func() error { return servePprof(ctx, profiles) })
	if metrics != nil {
		group.Go(func() error { return serveMetrics(ctx, metrics, registry) })
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "relay %s\n", host.ID())
	for _, address := range status().Addresses {
		fmt.Fprintf(out, "give this to a link: rhizome link --relay %s\n", address)
	}
	fmt.Fprintln(out, readyPrefix+"relay")
	return group.Wait()
}

func serveMetrics(ctx context.Context, listener net.Listener, registry *prometheus.Registry) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: metricsReadLimit}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// fullAddresses are a host's addresses with its peer id, ready to be handed on.
func fullAddresses(host *p2p.Host) []string {
	id := ma.StringCast("/p2p/" + host.ID().String())
	var all []string
	for _, address := range host.Addresses() {
		all = append(all, address.Encapsulate(id).String())
	}
	return all
}
