package doctor

import (
	"net/netip"
	"testing"
)

func seen(by, local, observed string, udp bool) Observation {
	return Observation{By: netip.MustParseAddrPort(by), UDP: udp, Local: netip.MustParseAddrPort(local), Observed: netip.MustParseAddrPort(observed)}
}

func TestMappingOf(t *testing.T) {
	const a, b, c = "11.0.1.1:4001", "11.0.2.1:443", "11.0.1.1:443"
	for name, k := range map[string]struct {
		all  []Observation
		want Mapping
	}{
		"nobody":                        {nil, MappingUnknown},
		"one":                           {[]Observation{seen(a, "10.0.0.1:5", "11.9.9.9:5", true)}, MappingUnknown},
		"one, at two ports":             {[]Observation{seen(a, "10.0.0.1:5", "11.9.9.9:5", true), seen(c, "10.0.0.1:5", "11.9.9.9:6", true)}, MappingUnknown},
		"the same":                      {[]Observation{seen(a, "10.0.0.1:5", "11.9.9.9:7", true), seen(b, "10.0.0.1:5", "11.9.9.9:7", true)}, MappingIndependent},
		"another port":                  {[]Observation{seen(a, "10.0.0.1:5", "11.9.9.9:7", true), seen(b, "10.0.0.1:5", "11.9.9.9:8", true)}, MappingDependent},
		"another address":               {[]Observation{seen(a, "10.0.0.1:5", "11.9.9.9:7", true), seen(b, "10.0.0.1:5", "11.9.9.8:7", true)}, MappingDependent},
		"two sockets":                   {[]Observation{seen(a, "10.0.0.1:5", "11.9.9.9:7", true), seen(b, "10.0.0.1:6", "11.9.9.9:8", true)}, MappingUnknown},
		"TCP says nothing of UDP":       {[]Observation{seen(a, "10.0.0.1:5", "11.9.9.9:7", false), seen(b, "10.0.0.1:5", "11.9.9.9:8", false)}, MappingUnknown},
		"IPv6 says nothing about IPv4":  {[]Observation{seen(a, "10.0.0.1:5", "11.9.9.9:7", true), seen("[2a00::1]:1", "[2a00::9]:5", "[2a00::9]:5", true)}, MappingUnknown},
		"a third peer tells them apart": {[]Observation{seen(a, "10.0.0.1:5", "11.9.9.9:7", true), seen(b, "10.0.0.1:5", "11.9.9.9:7", true), seen("11.0.3.1:1", "10.0.0.1:5", "11.9.9.9:9", true)}, MappingDependent},
	} {
		if got := mappingOf(k.all, true); got != k.want {
			t.Errorf("%s: %q, want %q", name, got, k.want)
		}
	}
}

func TestTranslated(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("11.0.4.10")}
	for _, k := range []struct {
		all  []Observation
		want Answer
	}{
		{nil, Unknown},
		{[]Observation{seen("11.0.1.1:1", "11.0.4.10:5", "11.0.4.10:5", true)}, No},
		{[]Observation{seen("11.0.1.1:1", "11.0.4.10:5", "11.0.4.10:5", true), seen("11.0.1.1:1", "10.0.0.1:5", "11.9.9.9:5", true)}, Yes},
	} {
		if got := translated(k.all, own); got != k.want {
			t.Errorf("%v: %q, want %q", k.all, got, k.want)
		}
	}
}

func TestFilterOf(t *testing.T) {
	for _, k := range []struct {
		door  Door
		fresh bool
		want  Filtering
	}{
		{DoorUnknown, true, FilterUnknown}, {DoorSilent, true, FilterClosed}, {DoorRefused, false, FilterClosed},
		{DoorOpen, true, FilterOpen}, {DoorOpen, false, FilterAddress}, // a peer that was spoken to proves less
	} {
		if got := filterOf(k.door, k.fresh); got != k.want {
			t.Errorf("%q, fresh %v: %q, want %q", k.door, k.fresh, got, k.want)
		}
	}
}
