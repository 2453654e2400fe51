package main

import (
	"testing"
	"time"
)

func TestParseAge(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "0.5d": 12 * time.Hour, "36h": 36 * time.Hour, "forever": 0,
	} {
		if got, err := parseAge(text); got != want || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "30", "d", "-1d", "0d", "0s", "-5h", "1e9d", "NaNd", "soon"} {
		if got, err := parseAge(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"10GB": 10e9, "1.5 MiB": 3 << 19, "100": 100, "7B": 7, "2kB": 2000, "1TiB": 1 << 40,
	} {
		if got, err := parseBytes(text); got != want || err != nil {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "GB", "-1GB", "0", "10 bananas", "NaN", "1e30", "9000000000TB"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}
