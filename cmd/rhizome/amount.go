package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// forever is the word for a bound that is none.
const forever = "forever"

// parseAge reads a time span in days (30d) or as Go writes durations (36h); 0 is for ever.
func parseAge(text string) (time.Duration, error) {
	if text == forever {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n > 0) || n > 36_500 {
			return 0, fmt.Errorf("%q is no number of days, such as 30d", text)
		}
		return time.Duration(n * float64(24*time.Hour)), nil
	}
	age, err := time.ParseDuration(text)
	if err != nil || age <= 0 {
		return 0, fmt.Errorf("%q: want days (30d), a duration (36h) or %q", text, forever)
	}
	return age, nil
}

// parseBytes reads a number of bytes with a unit of a thousand (10GB) or of 1024 (10GiB).
func parseBytes(text string) (int64, error) {
	units := []struct {
		suffix string
		bytes  float64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
	}
	for _, unit := range units {
		digits, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || !(n > 0) || n*unit.bytes > math.MaxInt64/2 {
			break
		}
		return int64(n * unit.bytes), nil
	}
	return 0, fmt.Errorf("%q is no amount of bytes, such as 10GB or 512MiB", text)
}
