package slotter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func node(host any, port int64, id string, meta ...any) []any {
	return []any{host, port, id, meta}
}

func TestParseSlots(t *testing.T) {
	d := &dialer{opt: Options{AddrMap: map[string]string{"10.0.0.5:7005": "127.0.0.1:17005", "inner": "outer"}}}
	reply := []any{
		[]any{int64(8000), int64(16383), node("10.0.0.5", 7005, "e"), node(nil, 7006, "f")},
		[]any{int64(0), int64(99), node("", 7001, "a"), node("?", 7002, "b"), node("10.0.0.3", 0, "c")},
		[]any{int64(100), int64(199), node("?", 7003, "d", "ip", "10.0.0.4")},
		[]any{int64(200), int64(299), node("", 7001, "a")},
		[]any{int64(300), int64(399), node("inner", 7009, "g")},
		[]any{int64(400), int64(499), []any{"10.0.0.9", int64(1)}}, // Redis 3 gave no id
	}
	m, err := d.parseSlots(reply, "seed:6379")
	if err != nil {
		t.Fatal(err)
	}
	want := []Master{
		{ID: "a", Addr: "seed:7001", Replicas: []Replica{}}, // replicas "?" and port 0 cannot be reached
		{ID: "d", Addr: "10.0.0.4:7003", Replicas: []Replica{}},
		{ID: "g", Addr: "outer:7009", Replicas: []Replica{}},
		{ID: "10.0.0.9:1", Addr: "10.0.0.9:1", Replicas: []Replica{}},
		{ID: "e", Addr: "127.0.0.1:17005", Replicas: []Replica{{ID: "f", Addr: "seed:7006"}}},
	}
	if diff := cmp.Diff(want, m.Masters); diff != "" {
		t.Errorf("masters (-want +got):\n%s", diff)
	}
	if got := FormatRanges(m.Ranges(0)); got != "0-99,200-299" {
		t.Errorf("ranges of a: %s", got)
	}
	if got := FormatRanges(m.Missing()); got != "500-7999" {
		t.Errorf("missing: %s", got)
	}
}

func TestParseSlotsRefuses(t *testing.T) {
	ok := node("h", 1, "a")
	for _, tc := range []struct {
		name  string
		reply any
		want  string
	}{
		{"a string", "OK", "not an array"},
		{"nil", nil, "not an array"},
		{"flat", []any{int64(1)}, "without a master"},
		{"no master", []any{[]any{int64(0), int64(1)}}, "without a master"},
		{"slot too high", []any{[]any{int64(0), int64(16384), ok}}, "bad range"},
		{"negative", []any{[]any{int64(-1), int64(4), ok}}, "bad range"},
		{"backwards", []any{[]any{int64(3), int64(2), ok}}, "bad range"},
		{"no numbers", []any{[]any{"0", "1", ok}}, "bad range"},
		{"master without a name", []any{[]any{int64(0), int64(1), node("?", 1, "a")}}, "host name"},
		{"port 0", []any{[]any{int64(0), int64(1), node("h", 0, "a")}}, "bad port"},
		{"two owners", []any{[]any{int64(0), int64(1), ok}, []any{int64(1), int64(2), node("h", 2, "b")}}, "two owners"},
		{"too many", make([]any, Slots+1), "16385 ranges"},
	} {
		_, err := (&dialer{}).parseSlots(tc.reply, "seed:1")
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestResolve(t *testing.T) {
	c := &Cluster{d: &dialer{opt: Options{AddrMap: map[string]string{"10.0.0.5:7005": "h:1", "2001:db8::2": "mapped"}}}}
	for _, tc := range []struct{ announced, want string }{
		{":7001", "seed:7001"},
		{"::1:7001", "[::1]:7001"}, // as servers write it
		{"[::1]:7001", "[::1]:7001"},
		{"2001:db8::2:7001", "mapped:7001"},
		{"10.0.0.5:7005", "h:1"},
		{"10.0.0.5:7006", "10.0.0.5:7006"},
		{"nonsense", "nonsense"},
	} {
		if got := c.Resolve(tc.announced, "seed:6379"); got != tc.want {
			t.Errorf("Resolve(%q) = %q, want %q", tc.announced, got, tc.want)
		}
	}
}

func TestParseServer(t *testing.T) {
	for _, tc := range []struct {
		name, info string
		want       Server
	}{
		{"redis", "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nrole:master\r\ncluster_enabled:1\r\n",
			Server{Addr: "h:1", Family: Redis, Version: Version{7, 0, 15}, Compatible: Version{7, 0, 15}, RunID: "abc", Role: "master", Cluster: true}},
		{"valkey", "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6380\r\n",
			Server{Addr: "h:1", Family: Valkey, Version: Version{8, 1, 0}, Compatible: Version{7, 2, 4}, Role: "slave", MasterAddr: "10.0.0.1:6380"}},
		{"keydb", "redis_version:6.3.4\r\nexecutable:/usr/bin/keydb-server\r\n",
			Server{Addr: "h:1", Family: KeyDB, Version: Version{6, 3, 4}, Compatible: Version{6, 3, 4}}},
		{"dragonfly", "redis_version:7.4.0\r\ndragonfly_version:df-v1.21.2\r\n",
			Server{Addr: "h:1", Family: Dragonfly, Version: Version{1, 21, 2}, Compatible: Version{7, 4, 0}}},
		{"loading", "redis_version:8.0.0\r\nloading:1\r\nloading_eta_seconds:7\r\n",
			Server{Addr: "h:1", Family: Redis, Version: Version{8, 0, 0}, Compatible: Version{8, 0, 0}, Loading: true, LoadingETA: 7}},
		{"nothing", "", Server{Addr: "h:1"}},
	} {
		if diff := cmp.Diff(tc.want, parseServer("h:1", parseInfo(tc.info))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestVersion(t *testing.T) {
	for in, want := range map[string]Version{"7.0.15": {7, 0, 15}, "8.0": {8, 0, 0}, "8.0.0-rc1": {8, 0, 0}, "df-v1.2.3": {1, 2, 3}, "": {}, "255.255.255": {255, 255, 255}, "x": {}} {
		if got := ParseVersion(in); got != want {
			t.Errorf("ParseVersion(%q) = %v, want %v", in, got, want)
		}
	}
	v := Version{7, 2, 4}
	if !v.AtLeast(7, 2) || !v.AtLeast(6, 9) || v.AtLeast(7, 3) || v.AtLeast(8, 0) {
		t.Error("AtLeast")
	}
}
