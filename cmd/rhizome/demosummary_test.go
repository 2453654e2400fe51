package main

import (
	"strings"
	"testing"
	"time"

	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/p2p"
)

func TestSummaryOfADemo(t *testing.T) {
	var s demoSummary
	var passed strings.Builder
	out := s.listener(&passed)
	const said = "INFO: begin\nround 1: accuracy 0.8306, loss 2.2454\nround 2: accuracy 0.8583, loss 2.1898\nend"
	for _, b := range []byte(said) { // cut as finely as a pipe might
		if _, err := out.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if passed.String() != said {
		t.Errorf("passed on %q", passed.String())
	}
	s.addPaths([]linkadmin.NodeStatus{{Name: "node1"}, {Name: "node2", Report: p2p.Report{LastFailure: "it is gone"}}})
	s.run = 12 * time.Second
	var shown strings.Builder
	if err := s.print(&shown, 15*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"1      0.8306    2.2454", "2      0.8583    2.1898", "node1  none", "node2  none: it is gone", "12.0 s, everything 15.0 s"} {
		if !strings.Contains(shown.String(), line) {
			t.Errorf("the summary lacks %q:\n%s", line, shown.String())
		}
	}
}

func TestSummaryDoesNotRememberEndlessLines(t *testing.T) {
	var s demoSummary
	out := &roundListener{out: new(strings.Builder), summary: &s}
	for range 100 {
		if _, err := out.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if len(out.line) > maxRememberedLine {
		t.Errorf("%d bytes are remembered", len(out.line))
	}
}
