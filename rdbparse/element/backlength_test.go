package element_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// edgeText has a back length that servers write in two ways.
var edgeText = strings.Repeat("e", 1<<14-1-5)

// edgeValues are values of each kind that has listpacks, with an element behind
// the one at the edge.
func edgeValues(build func(...item) []byte) []element.Value {
	pair := str(build(text(edgeText), text("behind")))
	score := str(build(text(edgeText), number(1), text("behind"), number(2)))
	node := str(build(number(1), number(0), number(1), text("f"), number(0), number(2), number(0), number(0), text(edgeText), number(4)))
	return []element.Value{
		value(rdbparse.TypeHashListpack, pair), value(rdbparse.TypeSetListpack, pair), value(rdbparse.TypeZSetListpack, score),
		value(rdbparse.TypeListQuicklist2, join(lens(2, 2), pair, lens(1), str(edgeText))),
		value(rdbparse.TypeHashListpackEx, join(u64(1<<48), str(build(text(edgeText), text("v"), number(0), text("behind"), text("w"), number(0))))),
		value(rdbparse.TypeHashTmplLP, join(lens(1, 2), str("f"), str("g"), str(build(number(1), text(edgeText), text("behind"))))),
		value(rdbparse.TypeStreamListpacks, join(lens(1), str(rawID(5, 1)), node, lens(1, 9, 9), lens(0))),
		value(rdbparse.TypeStreamListpacks3, join(lens(1), str(rawID(5, 1)), node, lens(1, 9, 9), lens(5, 1, 0, 0, 1), lens(0))),
	}
}

func TestFindBackLengths(t *testing.T) {
	long, short := edgeValues(listpack), edgeValues(shortListpack)
	for i := range long {
		a, err1 := element.FindBackLengths(long[i])
		b, err2 := element.FindBackLengths(short[i])
		if err1 != nil || err2 != nil || a != element.LongBack || b != element.ShortBack {
			t.Errorf("%s: %v %v, %v %v", long[i].Type.Name, a, err1, b, err2)
		}
		if diff, err := element.Diff(long[i], short[i]); err != nil || !diff.Same() {
			t.Errorf("%s: %v, %v", long[i].Type.Name, diff, err)
		}
	}
	for _, c := range values {
		if found, err := element.FindBackLengths(value(c.t, c.raw)); err != nil || found != 0 {
			t.Errorf("%s: %v, %v", c.name, found, err)
		}
	}
	for _, s := range corpus(t, "") {
		if found, err := element.FindBackLengths(s.v); err != nil || found != 0 {
			t.Errorf("%v: %v, %v", s, found, err)
		}
	}
}

func TestRewriteBackLengths(t *testing.T) {
	long, short := edgeValues(listpack), edgeValues(shortListpack)
	for i, v := range long {
		if v.Type.Kind != rdbparse.KindStream {
			continue
		}
		got, err := element.Convert(nil, v, v.Type.Type, element.Options{Back: element.ShortBack})
		if err != nil || !bytes.Equal(got, short[i].Raw) {
			t.Errorf("%s, made short: %v", v.Type.Name, err)
		}
		got, err = element.Convert(nil, short[i], v.Type.Type, element.Options{Back: element.LongBack})
		if err != nil || !bytes.Equal(got, v.Raw) {
			t.Errorf("%s, made long: %v", v.Type.Name, err)
		}
	}
}

// TestServersBackLengths puts both kinds of each value on every server, and shows
// that a server writes the kind that it is said to expect.
func TestServersBackLengths(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		t.Run(name, func(t *testing.T) {
			var config []string
			if name != "redis-6.0" {
				config = append(config, "sanitize-dump-payload yes")
			}
			c, version := server(t, name, config...), versions[name]
			ctx := context.Background()
			if err := c.XAdd(ctx, &redis.XAddArgs{Stream: "s", Values: []string{"f", edgeText}}).Err(); err != nil {
				t.Fatal(err)
			}
			dump, err := c.Dump(ctx, "s").Result()
			if err != nil {
				t.Fatal(err)
			}
			v, err := element.ParsePayload([]byte(dump))
			if err != nil {
				t.Fatal(err)
			}
			if own, err := element.FindBackLengths(v); err != nil || own != version.BackLengths() {
				t.Errorf("the server writes %v, expected %v, %v", own, version.BackLengths(), err)
			}
			for _, v := range slices.Concat(edgeValues(listpack), edgeValues(shortListpack)) {
				roundTrip(t, c, version, sample{file: "edge", v: v}, 0)
			}
		})
	}
}

// TestPlanOfDisagreement plans for servers that do not expect the same: what has an
// encoding without listpacks is written in that, whichever back lengths it has.
func TestPlanOfDisagreement(t *testing.T) {
	s := element.ServerVersion{Version: 810}
	for _, v := range slices.Concat(edgeValues(listpack), edgeValues(shortListpack)) {
		plan, err := element.PlanValue(v, s, 0)
		stream := v.Type.Kind == rdbparse.KindStream
		if err != nil || stream != (plan.Verb == element.Refuse) || stream == (plan.Reason == "") || !stream && element.HasListpack(plan.To) {
			t.Errorf("%s: %+v, %v", v.Type.Name, plan, err)
		}
	}
	for _, c := range values {
		v := value(c.t, c.raw)
		one, err1 := element.PlanValue(v, s, s.BackLengths())
		none, err2 := element.PlanValue(v, s, 0)
		if one != none || err1 != nil || err2 != nil {
			t.Errorf("%s: %+v, %+v, %v, %v", c.name, one, none, err1, err2)
		}
	}
}
