package doctor

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Targets is what a daemon, or its data directory, says about whom its site has to reach. It
// travels as JSON over the admin socket.
type Targets struct {
	Link       peer.ID  `json:"link"`
	OwnLink    bool     `json:"own_link,omitempty"` // the daemon is that link
	Addresses  []string `json:"addresses"`          // those of the link
	Relays     []string `json:"relays,omitempty"`   // that the daemon uses, each with its peer id
	Federation string   `json:"federation,omitempty"`
	// Paths are those of a running daemon to its link, freshly measured.
	Paths []Path `json:"paths,omitempty"`
}

// RelayTexts returns relays in the form that Targets uses.
func RelayTexts(relays []peer.AddrInfo) []string {
	var all []string
	for _, info := range relays {
		for _, a := range info.Addrs {
			all = append(all, a.String()+"/p2p/"+info.ID.String())
		}
	}
	return all
}

// Apply puts targets into a configuration.
func (t Targets) Apply(cfg *Config) error {
	cfg.Link, cfg.OwnLink, cfg.Federation = t.Link, t.OwnLink, t.Federation
	for _, text := range t.Addresses {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return fmt.Errorf("address %q of the link: %w", text, err)
		}
		if bare, id := peer.SplitAddr(a); id == t.Link {
			a = bare
		}
		cfg.Addrs = append(cfg.Addrs, a)
	}
	for _, text := range t.Relays {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return fmt.Errorf("address %q of a relay: %w", text, err)
		}
		info, err := peer.AddrInfoFromP2pAddr(a)
		if err != nil {
			return fmt.Errorf("address %q of a relay: %w", text, err)
		}
		cfg.Relays = append(cfg.Relays, *info)
	}
	return nil
}
