package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/rdbimport/rdbimport/bench/figure"
)

// A report is what is printed, and with -json the object.
type report struct {
	Host    host        `json:"host"`
	Sets    []setResult `json:"sets"`
	LeftOut []leftOut   `json:"left_out"`
}

// A leftOut is another tool that was not measured.
type leftOut struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// A setResult is all that was measured with one set.
type setResult struct {
	Name  string `json:"name"`
	Keys  int64  `json:"keys"`
	Bytes int64  `json:"bytes"` // of the dump
	Pairs []pair `json:"pairs"`

	// The ratios of import to floor, pair by pair: of the wall time of the
	// process, of the time that the import itself reports, and of processor time.
	Process figure.Spread `json:"ratio_process"`
	Import  figure.Spread `json:"ratio_import"`
	CPU     figure.Spread `json:"ratio_cpu"`

	Peers []peerResult `json:"peers,omitempty"`
}

// A peerResult is what was measured of another tool.
type peerResult struct {
	Name  string `json:"name"`
	Runs  []cost `json:"runs"`
	Error string `json:"error,omitempty"` // then there are no runs
}

func (s *setResult) summarise() {
	s.Process = figure.SpreadOf(s.Pairs, func(p pair) float64 { return p.Import.Wall / p.Floor.Wall })
	s.Import = figure.SpreadOf(s.Pairs, func(p pair) float64 { return p.Import.Own / p.Floor.Wall })
	s.CPU = figure.SpreadOf(s.Pairs, func(p pair) float64 { return p.Import.cpu() / p.Floor.cpu() })
}

// write prints the report for people.
func (r *report) write(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "\n%s\nMedian (least-most). CPU is user + system.\n", r.Host); err != nil {
		return err
	}
	for i := range r.Sets {
		if err := r.Sets[i].write(w); err != nil {
			return err
		}
	}
	for _, l := range r.LeftOut {
		if _, err := fmt.Fprintf(w, "left out: %s (%s)\n", l.Name, l.Reason); err != nil {
			return err
		}
	}
	return nil
}

func (s *setResult) write(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "\n%s: %d keys, %.1f MB, %d pairs\n", s.Name, s.Keys, float64(s.Bytes)/1e6, len(s.Pairs)); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\twall s\tof floor\tkeys/s\tCPU s\tCPU s per M keys\tservers' CPU s\tpeak MB\t")
	imports, floors := make([]cost, len(s.Pairs)), make([]cost, len(s.Pairs))
	for i, p := range s.Pairs {
		imports[i], floors[i] = p.Import, p.Floor
	}
	floorWall := figure.SpreadOf(floors, func(c cost) float64 { return c.Wall }).Median
	s.row(t, "rdbimport", imports, s.Process.Median)
	s.row(t, "floor", floors, 1)
	for _, p := range s.Peers {
		if p.Error != "" {
			fmt.Fprintf(t, "%s\tfailed\t\t\t\t\t\t\t\n", p.Name)
			continue
		}
		s.row(t, p.Name, p.Runs, s.peerRatio(p.Runs, floorWall))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "rdbimport to floor, pair by pair: whole process %s, import alone %s, CPU %s\n", s.Process, s.Import, s.CPU)
	return err
}

// peerRatio returns how many times the floor's time a peer takes. For one that
// was stopped that follows from its rate.
func (s *setResult) peerRatio(runs []cost, floorWall float64) float64 {
	perKey := figure.SpreadOf(runs, func(c cost) float64 { return c.Wall / float64(max(1, c.Keys)) })
	return perKey.Median * float64(s.Keys) / floorWall
}

func stopped(c cost) bool { return c.Stopped }

// row prints one line of the table.
func (s *setResult) row(w io.Writer, name string, runs []cost, ofFloor float64) {
	wall := figure.SpreadOf(runs, func(c cost) float64 { return c.Wall })
	cpu := figure.SpreadOf(runs, cost.cpu)
	rate := figure.SpreadOf(runs, func(c cost) float64 { return float64(c.Keys) / c.Wall })
	perM := figure.SpreadOf(runs, func(c cost) float64 { return c.cpu() * 1e6 / float64(max(1, c.Keys)) })
	srv := figure.SpreadOf(runs, func(c cost) float64 { return c.Servers })
	peak := figure.SpreadOf(runs, func(c cost) float64 { return float64(c.PeakRSS) / 1e6 })
	took, ratio := wall.String(), fmt.Sprintf("%.2f", ofFloor)
	if slices.ContainsFunc(runs, stopped) {
		took, ratio = "stopped at "+took, "some "+ratio
	}
	memory := "-"
	if peak.Max > 0 {
		memory = fmt.Sprintf("%.0f", peak.Max)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%.0f\t%s\t%.2f\t%s\t%s\t\n", name, took, ratio, rate.Median, cpu, perM.Median, srv, memory)
}
