package relay

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
)

// direction of bytes, seen from the peer that opened the circuit.
type direction string

const (
	forward  direction = "forward"
	backward direction = "backward"
)

// metrics of the relay. Labels name links, of which there are at most maxLinks, and never
// members. Without a registerer they are counted and not seen.
type metrics struct {
	registerer prometheus.Registerer
	collectors []prometheus.Collector

	circuits     *prometheus.GaugeVec
	circuitsEver *prometheus.CounterVec
	transferred  *prometheus.CounterVec
	refusals     *prometheus.CounterVec
	flows        sync.Map // of flow to prometheus.Counter; two for each allowed link
}

func newMetrics(registerer prometheus.Registerer, r *Relay) (*metrics, error) {
	m := &metrics{
		registerer: registerer,
		circuits: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rhizome_relay_circuits", Help: "Circuits open now.",
		}, []string{"link"}),
		circuitsEver: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhizome_relay_circuits_total", Help: "Circuits that were admitted.",
		}, []string{"link"}),
		transferred: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhizome_relay_bytes_total", Help: "Bytes carried; forward is away from the peer that opened the circuit.",
		}, []string{"link", "direction"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhizome_relay_refusals_total", Help: "Requests refused and circuits cut, by what was asked for and why.",
		}, []string{"what", "reason"}),
	}
	m.collectors = []prometheus.Collector{m.circuits, m.circuitsEver, m.transferred, m.refusals, rosterCollector{r.roster}}
	if registerer == nil {
		return m, nil
	}
	for i, c := range m.collectors {
		if err := registerer.Register(c); err != nil {
			m.collectors = m.collectors[:i]
			m.unregister()
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.collectors {
		m.registerer.Unregister(c)
	}
}

func (m *metrics) opened(link peer.ID) {
	m.circuits.WithLabelValues(label(link)).Inc()
	m.circuitsEver.WithLabelValues(label(link)).Inc()
}

func (m *metrics) closed(link peer.ID) { m.circuits.WithLabelValues(label(link)).Dec() }

func (m *metrics) refused(what string, reason Reason) {
	m.refusals.WithLabelValues(what, string(reason)).Inc()
}

// carried counts at every block that passes, so it must not spell out a peer id each time.
func (m *metrics) carried(link peer.ID, d direction, n int) {
	key := flow{link, d}
	counter, known := m.flows.Load(key)
	if !known {
		counter, _ = m.flows.LoadOrStore(key, m.transferred.WithLabelValues(label(link), string(d)))
	}
	counter.(prometheus.Counter).Add(float64(n))
}

// flow is what bytes are counted by.
type flow struct {
	link peer.ID
	d    direction
}

func label(link peer.ID) string {
	if link == openFederation {
		return "none"
	}
	return link.String()
}

var (
	membersDesc  = prometheus.NewDesc("rhizome_relay_members", "Members that the link vouches for.", []string{"link"}, nil)
	vouchingDesc = prometheus.NewDesc("rhizome_relay_link_vouching", "1 while the link's vouch stream is up.", []string{"link"}, nil)
)

// rosterCollector reads the roster when it is scraped, so that nothing has to be kept in
// step with it.
type rosterCollector struct{ roster *roster }

func (c rosterCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- membersDesc
	ch <- vouchingDesc
}

func (c rosterCollector) Collect(ch chan<- prometheus.Metric) {
	for _, f := range c.roster.status() {
		vouching := 0.0
		if f.Vouching {
			vouching = 1
		}
		ch <- prometheus.MustNewConstMetric(membersDesc, prometheus.GaugeValue, float64(f.Members), f.Link.String())
		ch <- prometheus.MustNewConstMetric(vouchingDesc, prometheus.GaugeValue, vouching, f.Link.String())
	}
}
