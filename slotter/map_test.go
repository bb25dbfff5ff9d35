package slotter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMap(t *testing.T) {
	masters := []Master{{ID: "a", Addr: "h:1"}, {ID: "b", Addr: "h:2"}}
	m, err := NewMap(masters, [][]Range{{{0, 99}, {200, 200}}, {{300, Slots - 1}}})
	if err != nil {
		t.Fatal(err)
	}
	for slot, want := range map[uint16]int{0: 0, 99: 0, 100: -1, 199: -1, 200: 0, 201: -1, 300: 1, 16383: 1} {
		if got := m.Owner(slot); got != want {
			t.Errorf("Owner(%d) = %d, want %d", slot, got, want)
		}
	}
	if diff := cmp.Diff([]Range{{100, 199}, {201, 299}}, m.Missing()); diff != "" {
		t.Errorf("Missing (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Range{{0, 99}, {200, 200}}, m.Ranges(0)); diff != "" {
		t.Errorf("Ranges (-want +got):\n%s", diff)
	}
	if got := FormatRanges(m.Ranges(0)); got != "0-99,200" {
		t.Errorf("FormatRanges = %q", got)
	}
	if got := m.Ranges(2); got != nil {
		t.Errorf("Ranges of no master = %v", got)
	}
	if m.ByAddr("h:2") != 1 || m.ByAddr("h:3") != -1 {
		t.Error("ByAddr or ByID")
	}
	masters[0].Addr = "changed"
	if m.Masters[0].Addr != "h:1" {
		t.Error("the map changed with its caller's slice")
	}
}

func TestSingleMap(t *testing.T) {
	m := SingleMap(Master{Addr: "h:1"})
	if m.Missing() != nil || m.Owner(0) != 0 || m.Owner(16383) != 0 {
		t.Error("a standalone server owns every slot")
	}
	if diff := cmp.Diff([]Range{{0, 16383}}, m.Ranges(0)); diff != "" {
		t.Error(diff)
	}
}

func TestNewMapRefuses(t *testing.T) {
	for _, tc := range []struct {
		name    string
		masters int
		owned   [][]Range
		want    string
	}{
		{"beyond the last slot", 1, [][]Range{{{0, Slots}}}, "bad range"},
		{"backwards", 1, [][]Range{{{5, 4}}}, "bad range"},
		{"two owners", 2, [][]Range{{{0, 10}}, {{10, 20}}}, "two owners"},
		{"owners without masters", 1, [][]Range{{{0, 1}}, {{2, 3}}}, "1 masters"},
	} {
		_, err := NewMap(make([]Master, tc.masters), tc.owned)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
}
