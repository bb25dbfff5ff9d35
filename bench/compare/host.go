package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/rdbimport/rdbimport/bench/figure"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// A host is what a figure must be read with.
type host struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	System    string `json:"system"`
	Go        string `json:"go"`
	Server    string `json:"server"`
	// Load is the load average of the last minute before the start: anything
	// above some tenths means that others were measured too. "" where unknown.
	Load string `json:"load,omitempty"`
}

func describeHost(ctx context.Context, lc *localcluster.Cluster) (host, error) {
	h := host{
		Processor: figure.Processor(), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Go: runtime.Version(), Load: figure.Load(),
	}
	target, err := slotter.ParseTarget(lc.URL())
	if err != nil {
		return h, err
	}
	c, err := slotter.Connect(ctx, target, slotter.Options{})
	if err != nil {
		return h, err
	}
	h.Server = c.Seed().String()
	return h, c.Close()
}

func (h host) String() string {
	text := fmt.Sprintf("%s, %d cores, %s, %s, %s", h.Processor, h.Cores, h.System, h.Go, h.Server)
	if h.Load != "" {
		text += ", load before " + h.Load
	}
	return text
}
