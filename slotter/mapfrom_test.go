package slotter_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

func TestMapFrom(t *testing.T) {
	local := servers(t, localcluster.Options{})
	c := connect(t, local.URL(), slotter.Options{DialTimeout: 3 * time.Second})
	nodes := local.Nodes()
	if err := nodes[0].Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := c.MapFrom(t.Context(), nodes[0].Addr); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 2900*time.Millisecond {
		t.Errorf("asked the excluded node: took %v", took)
	}
	if _, err := c.Map(t.Context()); err != nil { // passes over the stalled node
		t.Error(err)
	}
	if _, err := c.MapFrom(t.Context(), nodes[0].Addr, nodes[1].Addr, nodes[2].Addr); !errors.Is(err, slotter.ErrUnreachable) {
		t.Errorf("nobody to ask: %v", err)
	}
	if err := nodes[0].Resume(); err != nil {
		t.Fatal(err)
	}
	// A slot without an owner is reported, and no error.
	if err := nodes[1].Client().ClusterDelSlotsRange(t.Context(), 6000, 6099).Err(); err != nil {
		t.Fatal(err)
	}
	m, err := c.MapFrom(t.Context(), nodes[0].Addr, nodes[2].Addr)
	if err != nil {
		t.Fatal(err)
	}
	if got := slotter.FormatRanges(m.Missing()); got != "6000-6099" {
		t.Errorf("missing %s", got)
	}
	connect(t, "redis://"+nodes[1].Addr, slotter.Options{})
	for _, n := range nodes {
		n.Kill()
	}
	if _, err := c.Map(t.Context()); !errors.Is(err, slotter.ErrUnreachable) {
		t.Errorf("all dead: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Map(t.Context()); !errors.Is(err, slotter.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestAddrMapTwice refuses an address map by which one master would get the keys of two.
func TestAddrMapTwice(t *testing.T) {
	local := servers(t, localcluster.Options{})
	nodes := local.Nodes()
	_, err := slotter.Connect(t.Context(), parse(t, local.URL()), slotter.Options{AddrMap: map[string]string{nodes[1].Addr: nodes[0].Addr}})
	if err == nil || !strings.Contains(err.Error(), "two masters to "+nodes[0].Addr) {
		t.Errorf("error %v", err)
	}
}

// An endingContext ends after some looks at whether it has.
type endingContext struct {
	context.Context
	looks int
}

func (c *endingContext) Err() error {
	if c.looks--; c.looks < 0 {
		return context.Canceled
	}
	return nil
}

// TestMapFromEnds has the context end at every moment at which that is looked at: there is a
// map or an error.
func TestMapFromEnds(t *testing.T) {
	local := servers(t, localcluster.Options{Masters: 1})
	c := connect(t, local.URL(), slotter.Options{})
	for looks := 0; ; looks++ {
		ctx := &endingContext{t.Context(), looks}
		m, err := c.MapFrom(ctx)
		if (m == nil) == (err == nil) {
			t.Errorf("ended at look %d: map %v, error %v", looks, m, err)
		}
		if ctx.looks >= 0 {
			return
		}
	}
}
