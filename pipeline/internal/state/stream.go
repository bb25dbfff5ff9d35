package state

import (
	"fmt"
	"strings"
)

// describeStream renders the answer to XINFO STREAM FULL: what the stream is, not
// how it is kept nor what follows from the rest (the lag of a group).
func (s Scope) describeStream(full any) (string, error) {
	top, err := pairs(full)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	list(&b, top, "length", "last-generated-id", "entries")
	if !s.NoOffsets {
		list(&b, top, "max-deleted-entry-id", "entries-added", "recorded-first-entry-id")
	}
	groups, _ := top["groups"].([]any)
	for _, g := range groups {
		group, err := pairs(g)
		if err != nil {
			return "", err
		}
		list(&b, group, "name", "last-delivered-id", "pel-count", "pending", "pel")
		if !s.NoOffsets {
			list(&b, group, "entries-read")
		}
		consumers, _ := group["consumers"].([]any)
		for _, c := range consumers {
			consumer, err := pairs(c)
			if err != nil {
				return "", err
			}
			b.WriteString(" consumer")
			list(&b, consumer, "name", "seen-time", "pel-count", "pending", "pel")
			if !s.NoActiveTime {
				list(&b, consumer, "active-time")
			}
		}
	}
	return b.String(), nil
}

// pairs makes a map of a reply of names and values.
func pairs(v any) (map[string]any, error) {
	flat, ok := v.([]any)
	if !ok || len(flat)%2 != 0 {
		return nil, fmt.Errorf("%v is no list of pairs", v)
	}
	out := make(map[string]any, len(flat)/2)
	for i := 0; i < len(flat); i += 2 {
		out[fmt.Sprint(flat[i])] = flat[i+1]
	}
	return out, nil
}

// list writes the named parts of a reply, those that are there.
func list(b *strings.Builder, from map[string]any, names ...string) {
	for _, name := range names {
		if v, ok := from[name]; ok {
			fmt.Fprintf(b, " %s:", name)
			render(b, v)
		}
	}
}

// render writes a nested reply.
func render(b *strings.Builder, v any) {
	switch v := v.(type) {
	case []any:
		b.WriteByte('[')
		for _, x := range v {
			render(b, x)
		}
		b.WriteByte(']')
	default:
		b.WriteString(quote(fmt.Sprint(v)) + " ")
	}
}
