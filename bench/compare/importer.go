package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// runImport imports a set with rdbimport.
func (b *bench) runImport(ctx context.Context, s set) (cost, error) {
	var out bytes.Buffer
	c, err := child{
		path: b.importer,
		args: []string{"--json", "--quiet", "--progress", "none", s.file, b.masters.URL()},
		out:  &out,
	}.run(ctx)
	if err != nil {
		return c, err
	}
	var sum struct {
		Restored  int64   `json:"keys_restored"`
		Duration  float64 `json:"duration_seconds"`
		LimitedBy struct {
			Name string `json:"name"`
		} `json:"limited_by"`
	}
	if err := json.Unmarshal(out.Bytes(), &sum); err != nil {
		return c, fmt.Errorf("rdbimport --json: %w", err)
	}
	if sum.Restored != s.keys {
		return c, fmt.Errorf("rdbimport restored %d of %d keys", sum.Restored, s.keys)
	}
	c.Own, c.LimitedBy = sum.Duration, sum.LimitedBy.Name
	return c, nil
}
