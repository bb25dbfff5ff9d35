package element_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hdt3213/rdb/core"
	"github.com/hdt3213/rdb/model"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// TestOracle compares what is found in the values of the corpus with what another
// parser, hdt3213/rdb, finds. A file is compared as far as that can read it: it
// fails on dumps of clusters of Redis 7.4 and newer, and on a list whose first
// node is a plain one.
func TestOracle(t *testing.T) {
	all := corpus(t, "")
	byFile := map[string]map[string]element.Value{}
	for _, s := range all {
		if byFile[s.file] == nil {
			byFile[s.file] = map[string]element.Value{}
		}
		byFile[s.file][fmt.Sprint(s.db, s.key)] = s.v
	}
	compared := 0
	for file, values := range byFile {
		data, err := os.ReadFile(filepath.Join(os.Getenv("RDBIMPORT_CORPUS"), file))
		if err != nil {
			t.Fatal(err)
		}
		err = core.NewDecoder(bytes.NewReader(data)).Parse(func(o model.RedisObject) bool {
			want, ok := described(o)
			v, found := values[fmt.Sprint(o.GetDBIndex(), o.GetKey())]
			if !ok || !found {
				return true
			}
			compared++
			got, err := describe(v)
			if err != nil || got != want {
				t.Errorf("%s: %q: %v\n%.400s\nagainst\n%.400s", file, o.GetKey(), err, got, want)
			}
			return true
		})
		if err != nil {
			t.Logf("%s: the other parser: %v", file, err)
		}
	}
	t.Logf("%d values compared", compared)
	if compared < 1500 {
		t.Errorf("only %d values compared", compared)
	}
}

// described renders what the other parser has found, sorted where order has no
// meaning.
func described(o model.RedisObject) (string, bool) {
	var lines []string
	switch o := o.(type) {
	case *model.StringObject:
		return fmt.Sprintf("%q", o.Value), true
	case *model.ListObject:
		return fmt.Sprintf("%q", o.Values), true
	case *model.SetObject:
		for _, m := range o.Members {
			lines = append(lines, fmt.Sprintf("%q", m))
		}
	case *model.HashObject:
		for field, value := range o.Hash {
			lines = append(lines, fmt.Sprintf("%q=%q @%d", field, value, max(o.FieldExpirations[field], 0)))
		}
	case *model.ZSetObject:
		for _, e := range o.Entries {
			lines = append(lines, fmt.Sprintf("%q %v", e.Member, e.Score))
		}
	case *model.StreamObject:
		return describedStream(o), true
	default:
		return "", false
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), true
}

// describedStream renders a stream. Fields come without order and only once: the
// other parser keeps them in a map.
func describedStream(o *model.StreamObject) string {
	var b strings.Builder
	for _, node := range o.Entries {
		for _, m := range node.Msgs {
			if !m.Deleted {
				fmt.Fprintf(&b, "%d-%d %v\n", m.Id.Ms, m.Id.Sequence, m.Fields)
			}
		}
	}
	fmt.Fprintf(&b, "stream %d %v\n", o.Length, *o.LastId)
	for _, g := range o.Groups {
		fmt.Fprintf(&b, "group %s %v\n", g.Name, *g.LastId)
		for _, p := range g.Pending {
			fmt.Fprintf(&b, "pending %v %d %d\n", *p.Id, p.DeliveryTime, p.DeliveryCount)
		}
		for _, c := range g.Consumers {
			fmt.Fprintf(&b, "consumer %s %d\n", c.Name, c.SeenTime)
			for _, id := range c.Pending {
				fmt.Fprintf(&b, "owned %v\n", *id)
			}
		}
	}
	return b.String()
}

// describe renders a value in the same way.
func describe(v element.Value) (string, error) {
	var lines []string
	var items [][]byte
	var b strings.Builder
	r := element.Open(v)
	for r.Next() {
		e := r.Element()
		switch e.Kind {
		case element.Text:
			return fmt.Sprintf("%q", e.Value), nil
		case element.ListItem:
			items = append(items, bytes.Clone(e.Value))
		case element.Member:
			lines = append(lines, fmt.Sprintf("%q", e.Key))
		case element.Field:
			lines = append(lines, fmt.Sprintf("%q=%q @%d", e.Key, e.Value, e.ExpireAt))
		case element.Scored:
			lines = append(lines, fmt.Sprintf("%q %v", e.Key, e.Score))
		case element.Entry:
			fields := map[string]string{}
			for i := 0; i < len(e.Pairs); i += 2 {
				fields[string(e.Pairs[i])] = string(e.Pairs[i+1])
			}
			fmt.Fprintf(&b, "%d-%d %v\n", e.ID.Ms, e.ID.Seq, fields)
		case element.Stream:
			fmt.Fprintf(&b, "stream %d %v\n", e.Info.Length, model.StreamId{Ms: e.Info.LastID.Ms, Sequence: e.Info.LastID.Seq})
		case element.Group:
			fmt.Fprintf(&b, "group %s %v\n", e.Key, model.StreamId{Ms: e.ID.Ms, Sequence: e.ID.Seq})
		case element.Pending:
			fmt.Fprintf(&b, "pending %v %d %d\n", model.StreamId{Ms: e.ID.Ms, Sequence: e.ID.Seq}, e.Time, e.Count)
		case element.Consumer:
			fmt.Fprintf(&b, "consumer %s %d\n", e.Key, e.Time)
		case element.Owned:
			fmt.Fprintf(&b, "owned %v\n", model.StreamId{Ms: e.ID.Ms, Sequence: e.ID.Seq})
		}
	}
	if err := r.Err(); err != nil {
		return "", err
	}
	switch v.Type.Kind {
	case rdbparse.KindList:
		return fmt.Sprintf("%q", items), nil
	case rdbparse.KindStream:
		return b.String(), nil
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}
