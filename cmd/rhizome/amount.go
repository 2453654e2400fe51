package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"
)

// The words for no bound: on what is kept, and on what may flow.
const (
	forever   = "forever"
	unlimited = "unlimited"
)

// size gives a number of bytes in the unit that a person would use.
func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// seconds gives a measured time in a form for people.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// parseBytes reads a number of bytes with a unit of a thousand (10GB) or of 1024 (10GiB).
func parseBytes(text string) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is not an amount of bytes, such as 10GB or 512MiB", text)
	}
	return int64(n), nil
}

// parseAge reads a time span in days (30d) or as Go writes durations (36h).
func parseAge(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n > 0) || n > 36_500 {
			return 0, fmt.Errorf("%q is not a number of days, such as 30d", text)
		}
		return time.Duration(n * float64(24*time.Hour)), nil
	}
	age, err := time.ParseDuration(text)
	if err != nil || age <= 0 {
		return 0, fmt.Errorf("%q: want days (30d) or a duration (36h)", text)
	}
	return age, nil
}

// bytesFlag defines a flag for an amount of bytes that bounds something. 0 means no bound, which
// the user writes as the word none.
func bytesFlag(flags *pflag.FlagSet, target *int64, name string, value int64, none, usage string) {
	*target = value
	flags.Var(&bytesValue{target, none}, name, usage)
}

type bytesValue struct {
	target *int64
	none   string
}

// Set implements pflag.Value.
func (v *bytesValue) Set(text string) (err error) {
	if text == v.none || text == "0" && v.none == unlimited {
		*v.target = 0
		return nil
	}
	if *v.target, err = parseBytes(text); err != nil {
		return fmt.Errorf("%w, or %s", err, v.none)
	}
	return nil
}

// String implements pflag.Value. It is exact for round numbers of some unit.
func (v *bytesValue) String() string {
	switch n := uint64(*v.target); {
	case n == 0:
		return v.none
	case n%(1<<20) == 0:
		return strings.ReplaceAll(strings.Replace(humanize.IBytes(n), ".0 ", " ", 1), " ", "")
	default:
		return strings.ReplaceAll(humanize.Bytes(n), " ", "")
	}
}

// Type implements pflag.Value.
func (*bytesValue) Type() string { return "bytes" }

// ageFlag defines a flag for a time span that people think of in days. 0 means for ever, which
// the user writes as the word none; if none is empty, there is no such value.
func ageFlag(flags *pflag.FlagSet, target *time.Duration, name string, value time.Duration, none, usage string) {
	*target = value
	flags.Var(&ageValue{target, none}, name, usage)
}

type ageValue struct {
	target *time.Duration
	none   string
}

// Set implements pflag.Value.
func (v *ageValue) Set(text string) (err error) {
	if v.none != "" && text == v.none {
		*v.target = 0
		return nil
	}
	age, err := parseAge(text)
	if err == nil && age%time.Second != 0 {
		err = errors.New("want whole seconds, such as 24h")
	}
	if err != nil && v.none != "" {
		err = fmt.Errorf("%w, or %s", err, v.none)
	}
	*v.target = age
	return err
}

// String implements pflag.Value.
func (v *ageValue) String() string {
	const day = 24 * time.Hour
	switch age := *v.target; {
	case age == 0:
		return v.none
	case age%day == 0:
		return fmt.Sprintf("%dd", age/day)
	default:
		return age.String()
	}
}

// Type implements pflag.Value.
func (*ageValue) Type() string { return "time" }
