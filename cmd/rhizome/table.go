package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/rhizome-fl/rhizome/internal/printable"
)

// table aligns columns. What peers call themselves is shown without control characters.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer) table {
	return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
}

func (t table) row(cells []string) {
	for i, cell := range cells {
		cells[i] = printable.Line(cell, 0)
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t table) flush() error { return t.w.Flush() }
