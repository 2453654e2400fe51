package main

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestParseAge(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "0.5d": 12 * time.Hour, "36h": 36 * time.Hour,
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

// What --help shows as a default must mean the same when a user types it.
func TestAmountsAreReadAsTheyAreShown(t *testing.T) {
	for _, value := range []int64{0, 2e6, 10e9, 8 << 30, 1 << 20, 500} {
		for _, none := range []string{forever, unlimited} {
			var got int64
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			bytesFlag(flags, &got, "n", value, none, "")
			shown := flags.Lookup("n").DefValue
			if err := flags.Set("n", shown); err != nil || got != value {
				t.Errorf("%d is shown as %q, which is %d, %v", value, shown, got, err)
			}
		}
	}
	for _, value := range []time.Duration{0, 90 * 24 * time.Hour, 36 * time.Hour, 90 * time.Second} {
		var got time.Duration
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		ageFlag(flags, &got, "t", value, forever, "")
		shown := flags.Lookup("t").DefValue
		if err := flags.Set("t", shown); err != nil || got != value {
			t.Errorf("%s is shown as %q, which is %s, %v", value, shown, got, err)
		}
	}
}

// Somebody who means to keep nothing must not end up keeping everything for ever.
func TestZeroIsNotForever(t *testing.T) {
	var n int64
	var age time.Duration
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	bytesFlag(flags, &n, "keep", 1, forever, "")
	bytesFlag(flags, &n, "rate", 1, unlimited, "")
	ageFlag(flags, &age, "age", time.Hour, forever, "")
	if flags.Set("keep", "0") == nil || flags.Set("age", "0") == nil {
		t.Error("0 is taken for ever")
	}
	if err := flags.Set("rate", "0"); err != nil || n != 0 {
		t.Errorf("a rate of 0 is %d, %v", n, err)
	}
}
