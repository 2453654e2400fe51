package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"time"

	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
)

// demoSummary is what the demo shows at the end: what came out, by which paths, and how long it
// took.
type demoSummary struct {
	rounds [][]string // round, accuracy and loss, as the app printed them
	paths  [][]string // node and path
	run    time.Duration
}

// toldRound matches the line in which examples/quickstart prints the accuracy of a round.
var toldRound = regexp.MustCompile(`round (\d+): accuracy ([\d.]+), loss ([\d.]+)`)

// listener passes everything on to out and takes notes of the rounds.
func (s *demoSummary) listener(out io.Writer) io.Writer { return &roundListener{out: out, summary: s} }

type roundListener struct {
	out     io.Writer
	summary *demoSummary
	line    []byte // the one that has not ended yet
}

func (l *roundListener) Write(p []byte) (int, error) {
	l.line = append(l.line, p...)
	for {
		line, rest, ended := bytes.Cut(l.line, []byte{'\n'})
		if !ended {
			break
		}
		if match := toldRound.FindSubmatch(line); match != nil {
			l.summary.rounds = append(l.summary.rounds, []string{string(match[1]), string(match[2]), string(match[3])})
		}
		l.line = rest
	}
	if len(l.line) > maxRememberedLine {
		l.line = nil
	}
	return l.out.Write(p)
}

// addPaths notes how each node reaches the link.
func (s *demoSummary) addPaths(nodes []linkadmin.NodeStatus) {
	for _, node := range nodes {
		s.paths = append(s.paths, []string{node.Name, describePath(node.Path, node.LastFailure)})
	}
}

// print shows the summary; total is the time from the first process to the end of the last.
func (s *demoSummary) print(out io.Writer, total time.Duration) error {
	fmt.Fprintln(out)
	for _, t := range []struct {
		heads []string
		rows  [][]string
	}{{[]string{"ROUND", "ACCURACY", "LOSS"}, s.rounds}, {[]string{"NODE", "PATH TO THE LINK"}, s.paths}} {
		if len(t.rows) == 0 {
			continue
		}
		if err := printTable(out, t.heads, len(t.rows), func(i int) []string { return t.rows[i] }); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	_, err := fmt.Fprintf(out, "The run took %s, everything %s. Everything has stopped, and nothing is kept.\n", seconds(s.run), seconds(total))
	return err
}
