package main

import (
	"errors"
	"slices"
	"testing"
)

func TestAllowUsers(t *testing.T) {
	for _, test := range []struct {
		users []string
		want  []uint32
		any   bool
		wrong bool
	}{
		{},
		{users: []string{"root", "4242"}, want: []uint32{0, 4242}},
		{users: []string{"all"}, any: true},
		{users: []string{"no such user"}, wrong: true},
		{users: []string{"-1"}, wrong: true},
		{users: []string{"4294967296"}, wrong: true},
	} {
		guard, err := localOptions{users: test.users}.guard()
		if usage := (usageError{}); test.wrong != errors.As(err, &usage) {
			t.Errorf("%v: %v", test.users, err)
		}
		if !test.wrong && (!slices.Equal(guard.Users, test.want) || guard.AnyUser != test.any) {
			t.Errorf("%v: %+v", test.users, guard)
		}
	}
}
