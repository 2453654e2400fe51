package doctor

import (
	"crypto/x509"
	"net/url"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
)

// Report is everything that an examination found. It prints as JSON as it is.
type Report struct {
	At       time.Time `json:"at"`
	Took     float64   `json:"took_seconds"`
	Software string    `json:"software,omitempty"`
	// Self is the peer id that was used. Temporary: it was made up for this examination, because
	// there is none yet or its owner is running.
	Self      peer.ID `json:"peer_id"`
	Temporary bool    `json:"temporary_peer_id,omitempty"`
	// Running: the site's daemon runs, and its membership cannot be seen from here.
	Running bool `json:"daemon_running,omitempty"`
	// Link is the one that the site belongs to or wants to join. OwnLink: the site is that link.
	Link       peer.ID `json:"link,omitempty"`
	OwnLink    bool    `json:"own_link,omitempty"`
	Federation string  `json:"federation,omitempty"`
	// Proxy is the one that WebSocket goes through.
	Proxy string `json:"proxy,omitempty"`

	Addresses []Address `json:"addresses"`
	Relays    []Relay   `json:"relays"`
	NAT       NAT       `json:"nat"`
	Clock     Clock     `json:"clock"`
	Paths     []Path    `json:"paths"`
	MTU       MTU       `json:"mtu"`
	// Daemon is what the running daemon of this site reports about its own paths.
	Daemon []Path `json:"daemon_paths,omitempty"`
	// Unknown lists what could not be determined, each with the reason.
	Unknown []string `json:"unknown"`

	Verdict Verdict `json:"verdict"`
}

// State is that of one step of a check.
type State string

const (
	NotTried State = "" // Detail says why, if that is not obvious
	OK       State = "ok"
	Failed   State = "failed"
)

// Step is one thing that was tried.
type Step struct {
	State   State   `json:"state,omitempty"`
	Failure Failure `json:"failure,omitempty"`
	Detail  string  `json:"detail,omitempty"`
	Millis  float64 `json:"ms,omitempty"`
}

// Address is what was found about one address of the link or of a relay.
type Address struct {
	Peer      peer.ID `json:"peer"`
	Relay     bool    `json:"relay,omitempty"` // of a relay, otherwise of the link
	Address   string  `json:"address"`
	Transport string  `json:"transport"` // tcp, quic-v1 or websocket
	Host      string  `json:"host"`
	Port      int     `json:"port"`
	Private   bool    `json:"private,omitempty"` // on a LAN, not on the internet

	Resolve   Step `json:"resolve"`   // of the name in it
	Connect   Step `json:"connect"`   // plain TCP, past any proxy
	Proxy     Step `json:"proxy"`     // CONNECT at the proxy
	Handshake Step `json:"handshake"` // the transport's, up to the proof of the peer id
	Identify  Step `json:"identify"`
	ViaProxy  bool `json:"via_proxy,omitempty"`

	// Standing is how the other side sees this one: refused, joining or member.
	Standing string  `json:"standing,omitempty"`
	Agent    string  `json:"agent,omitempty"`
	Observed string  `json:"observed,omitempty"` // this side's address, as the other side sees it
	Local    string  `json:"local,omitempty"`
	RTT      float64 `json:"rtt_ms,omitempty"`
	// MTU is that of the way, as TCP was told, in bytes; 0 means not known.
	MTU int `json:"mtu,omitempty"`

	dialled ma.Multiaddr // with the name resolved; nil: not reached
}

// Relay is what was found about one relay.
type Relay struct {
	Peer    peer.ID `json:"peer"`
	Connect Step    `json:"connect"`
	// Role is what this peer is there, with its Limits; they are not known for a relay that is not
	// ours.
	Ask          Step   `json:"ask"`
	Role         string `json:"role,omitempty"`
	Limits       string `json:"limits,omitempty"`
	LastRefusal  string `json:"last_refusal,omitempty"`
	Reservation  Step   `json:"reservation"`
	LimitedBytes uint64 `json:"limited_bytes,omitempty"` // of each circuit, each way
	LimitedTime  string `json:"limited_time,omitempty"`
	// Circuit is the one to the link, with its proof of the peer id.
	Circuit  Step    `json:"circuit"`
	Standing string  `json:"standing,omitempty"` // at the link
	RTT      float64 `json:"rtt_ms,omitempty"`
}

// Clock compares this machine's clock with that of the link, or else of a relay.
type Clock struct {
	Known  bool    `json:"known"`
	With   peer.ID `json:"with,omitempty"`
	Ahead  float64 `json:"ahead_seconds"`     // how far this machine is ahead; negative: behind
	Within float64 `json:"within_seconds"`    // how far off that can be: half a round trip
	Why    string  `json:"unknown,omitempty"` // if not Known
}

// Path is a way to the link, and how fast it is.
type Path struct {
	Way       string  `json:"way"` // direct, or through which relay
	Transport string  `json:"transport"`
	RTT       float64 `json:"rtt_ms,omitempty"`
	// Down and Up are in bytes per second. The transfers are short: a line with a high delay may
	// be faster.
	Down float64 `json:"down,omitempty"`
	Up   float64 `json:"up,omitempty"`
	Why  string  `json:"unknown,omitempty"` // why Down or Up is not known
}

// MTU is a hint at the largest packet that passes.
type MTU struct {
	Bytes int    `json:"bytes,omitempty"` // 0: not known
	How   string `json:"how"`
}

// Config of an examination. Either Link or Relays is required.
type Config struct {
	// Link is the one to which the way is examined, at Addrs, which may include circuits.
	Link  peer.ID
	Addrs []ma.Multiaddr
	// OwnLink: this site is the link, and the way is that from its relays. Running: the link, or
	// the node of this site, is running and holds its port.
	OwnLink, Running bool
	// Daemon is what the running daemon reports about its own paths.
	Daemon []Path
	// Relays are examined besides those in Addrs.
	Relays     []peer.AddrInfo
	Federation string
	// Identity is that of the site; if it is zero, one is made up, and nobody takes this site for
	// a member.
	Identity identity.Identity
	// Proxy and RootCAs are those of the overlay's WebSockets.
	Proxy   *url.URL
	RootCAs *x509.CertPool
	// NewHost makes the hosts of the overlay with which ways are examined. It is required.
	NewHost func(HostConfig) (host.Host, error)
	// Port is the one that the site's own host has or will have; 0 means none yet.
	Port     int
	Software string
}

// HostConfig is what the doctor asks of a host.
type HostConfig struct {
	Identity identity.Identity
	// Listen makes the host listen on Port, by TCP and QUIC, and dial from there too.
	Listen   bool
	Port     int
	Proxy    *url.URL
	RootCAs  *x509.CertPool
	Gate     admission.Gate
	Software string // what members are told
}
