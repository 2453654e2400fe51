package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rhizome-fl/rhizome/internal/printable"
)

// printTable aligns rows under their headings. It removes control characters, which peers may
// have put into their names.
func printTable(w io.Writer, heads []string, rows int, row func(int) []string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(heads, "\t"))
	for i := range rows {
		cells := row(i)
		for j, cell := range cells {
			cells[j] = printable.Line(cell, 0)
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

// timeOrNever gives a time as tables show it.
func timeOrNever(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}
