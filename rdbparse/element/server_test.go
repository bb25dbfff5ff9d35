package element_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// versions are the servers that tests run against.
var versions = map[string]element.ServerVersion{
	"redis-6.0": {Version: 600}, "redis-7.0": {Version: 700}, "redis-8.0": {Version: 800},
	"valkey-8.1": {Valkey: true, Version: 801}, "valkey-9.1": {Valkey: true, Version: 901},
}

// server starts a standalone server and returns its client. The binary is the one
// in the folder that RDBIMPORT_SERVERS names.
func server(t *testing.T, name string, config ...string) *redis.Client {
	t.Helper()
	dir := os.Getenv("RDBIMPORT_SERVERS")
	if dir == "" {
		dir = filepath.Join("..", "..", ".servers")
	}
	binary, err := filepath.Abs(filepath.Join(dir, "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(binary)
	needs.Have(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := localcluster.Start(ctx, localcluster.Options{Binary: binary, Standalone: true, Config: config, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c.Masters()[0].Client()
}

// payload makes the argument of RESTORE.
func payload(t rdbparse.Type, raw []byte) string {
	e := rdbparse.Entry{Type: t.Info(), Value: raw}
	return string(rdbparse.AppendPayload(nil, &e))
}

// restore puts raw on the server under a key and returns what the server then
// dumps.
func restore(c *redis.Client, t rdbparse.Type, raw []byte) (element.Value, error) {
	ctx := context.Background()
	const key = "k"
	if err := c.RestoreReplace(ctx, key, 0, payload(t, raw)).Err(); err != nil {
		return element.Value{}, err
	}
	dump, err := c.Dump(ctx, key).Result()
	if err != nil {
		return element.Value{}, fmt.Errorf("DUMP: %w", err)
	}
	return element.ParsePayload([]byte(dump))
}

// TestServers restores every value of the corpus into every server, converted
// where the server does not know its type, and compares what the server then
// dumps with the original.
func TestServers(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			all := corpus(t, "")
			var config []string
			if name != "redis-6.0" {
				config = append(config, "sanitize-dump-payload yes")
			}
			c := server(t, name, config...)
			now := time.Now().UnixMilli()
			counts := map[string]int{}
			for _, s := range all {
				if s.v.Type.Kind != rdbparse.KindModule {
					counts[roundTrip(t, c, version, s, now)]++
				}
			}
			for _, row := range values {
				if row.t != rdbparse.TypeArray { // no server here has arrays
					roundTrip(t, c, version, sample{file: "made", key: row.name, v: value(row.t, row.raw)}, now)
				}
			}
			t.Logf("%v", counts)
			if counts["as is"] < 500 || counts["rewritten"] == 0 && name != "redis-8.0" {
				t.Errorf("only %v values tried", counts)
			}
		})
	}
}

// roundTrip puts one value on a server and compares. It says how.
func roundTrip(t *testing.T, c *redis.Client, version element.ServerVersion, s sample, now int64) string {
	t.Helper()
	plan, err := element.PlanValue(s.v, version, version.BackLengths())
	if err != nil {
		t.Errorf("%v: %v", s, err)
	}
	cmp := element.Comparer{Now: now}
	switch plan.Verb {
	case element.AsIs:
		got, err := restore(c, s.v.Type.Type, s.v.Raw)
		if errors.Is(err, redis.Nil) || err != nil && strings.Contains(err.Error(), "DUMP") {
			return "gone"
		}
		if err != nil {
			t.Errorf("%v: %v", s, err)
			return "error"
		}
		if diff, err := cmp.Diff(s.v, got); err != nil || !diff.Same() {
			t.Errorf("%v: back as %v: %v, %v", s, got.Type.Type, diff, err)
		}
		return "as is"
	case element.Rewrite:
		raw, err := element.Convert([]byte("before"), s.v, plan.To, element.Options{Back: plan.Back})
		if plan.FieldExpiry && err != nil {
			if !errors.Is(err, element.ErrFieldExpiry) {
				t.Errorf("%v: field expiry: %v", s, err)
			}
			raw, err = element.Convert([]byte("before"), s.v, plan.To, element.Options{DropFieldExpiry: true, Now: now})
		}
		if errors.Is(err, element.ErrEmpty) {
			return "expired"
		}
		if err != nil || string(raw[:6]) != "before" {
			t.Errorf("%v: %v", s, err)
			return "error"
		}
		raw = raw[6:]
		got, err := restore(c, plan.To, raw)
		if errors.Is(err, redis.Nil) {
			return "gone"
		}
		if err != nil {
			t.Errorf("%v as %v: %v", s, plan.To, err)
			return "error"
		}
		want := s.v
		if plan.FieldExpiry {
			want = element.Value{Type: plan.To.Info(), Raw: raw}
		}
		if diff, err := cmp.Diff(want, got); err != nil || !diff.Same() {
			t.Errorf("%v as %v: back as %v: %v, %v", s, plan.To, got.Type.Type, diff, err)
		}
		return "rewritten"
	}
	t.Errorf("%v: %s", s, plan.Reason)
	return "refused"
}
