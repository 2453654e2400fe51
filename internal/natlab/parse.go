//go:build linux

package natlab

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseSite reads a site from a single word:
//
//	NAME=KIND[,hosts=A+B][,rtt=50ms][,jitter=5ms][,loss=0.01][,rate=20M][,queue=256k][,mtu=1400][,gso][,fwd=4001+4002]
//
// rtt is the site's share of a round trip, twice the Delay; rate is in bits per second,
// with k, M and G for powers of 1000; queue is in bytes, with powers of 1024.
func ParseSite(word string) (Site, error) {
	head, rest, _ := strings.Cut(word, ",")
	name, kind, ok := strings.Cut(head, "=")
	if !ok {
		return Site{}, fmt.Errorf("site %q: want NAME=KIND", word)
	}
	s := Site{Name: name, Kind: Kind(kind)}
	for rest != "" {
		var setting string
		setting, rest, _ = strings.Cut(rest, ",")
		key, value, _ := strings.Cut(setting, "=")
		if err := s.set(key, value); err != nil {
			return Site{}, fmt.Errorf("site %q: %s: %w", word, key, err)
		}
	}
	if err := (Topology{Sites: []Site{s}}).withDefaults().validate(); err != nil {
		return Site{}, err
	}
	return s, nil
}

func (s *Site) set(key, value string) (err error) {
	switch key {
	case "hosts":
		s.Hosts = strings.Split(value, "+")
	case "rtt":
		s.Uplink.Delay, err = time.ParseDuration(value)
		s.Uplink.Delay /= 2
	case "jitter":
		s.Uplink.Jitter, err = time.ParseDuration(value)
	case "loss":
		s.Uplink.Loss, err = strconv.ParseFloat(value, 64)
	case "rate":
		s.Uplink.Rate, err = parseSize(value, 1000)
	case "queue":
		var n int64
		n, err = parseSize(value, 1024)
		s.Uplink.Queue = int(n)
	case "mtu":
		s.Uplink.MTU, err = strconv.Atoi(value)
	case "gso":
		s.Uplink.GSO = true
	case "fwd":
		for port := range strings.SplitSeq(value, "+") {
			n, err := strconv.Atoi(port)
			if err != nil {
				return err
			}
			s.Forward = append(s.Forward, n)
		}
	default:
		return fmt.Errorf("unknown setting")
	}
	return err
}

func parseSize(s string, unit int64) (int64, error) {
	factor := int64(1)
	for i, suffix := range []string{"k", "M", "G"} {
		if digits, ok := strings.CutSuffix(s, suffix); ok {
			s = digits
			for range i + 1 {
				factor *= unit
			}
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > (1<<62)/factor {
		return 0, strconv.ErrRange
	}
	return n * factor, nil
}
