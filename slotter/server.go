package slotter

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Family is the kind of server software.
type Family int

// The families told apart.
const (
	Unknown Family = iota
	Redis
	Valkey
	KeyDB
	Dragonfly
)

// String returns the name as its makers write it.
func (f Family) String() string {
	switch f {
	case Redis:
		return "Redis"
	case Valkey:
		return "Valkey"
	case KeyDB:
		return "KeyDB"
	case Dragonfly:
		return "Dragonfly"
	}
	return "unknown server"
}

// Version is major, minor, patch. It can be compared with == and AtLeast.
type Version [3]int

// ParseVersion reads up to three numbers separated by dots; what is missing or unreadable is 0. A leading "df-v" or "v" is ignored.
func ParseVersion(s string) Version {
	var v Version
	s = strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz-")
	for i, part := range strings.SplitN(s, ".", 3) {
		end := 0
		for end < len(part) && end < 6 && part[end] >= '0' && part[end] <= '9' {
			end++
		}
		v[i], _ = strconv.Atoi(part[:end])
		if end < len(part) {
			break
		}
	}
	return v
}

// AtLeast reports whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v[0] > major || v[0] == major && v[1] >= minor
}

// String returns "7.0.15".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// Server is what a node says about itself.
type Server struct {
	Addr       string
	Family     Family
	Version    Version // of the family's own counting: Valkey 8.1.0
	Compatible Version // the Redis version it claims to be compatible with: 7.2.4 for Valkey
	RunID      string  // changes with every start of the process
	History    string  // id of the history of the data that it holds; a replica has that of its master
	Followed   string  // id of the history that it had before, as a replica; "" if it was none
	Role       string  // "master" or "slave"; "" where unknown
	MasterAddr string  // host:port of a replica's master, as the replica sees it
	Cluster    bool    // cluster mode
	Loading    bool    // still reading its data set
	LoadingETA int     // seconds it thinks it still needs
}

// String returns "Valkey 8.1.0".
func (s Server) String() string { return s.Family.String() + " " + s.Version.String() }

// Oldest returns the server that understands least, of one at least: the first of
// those with the lowest Compatible, and of these with the lowest Version, both without
// the patch level: Redis 7.2.5 understands less than Valkey 9.1, which is compatible
// with 7.2.4.
func Oldest(servers []Server) Server {
	return slices.MinFunc(servers, func(a, b Server) int {
		return cmp.Or(slices.Compare(a.Compatible[:2], b.Compatible[:2]), slices.Compare(a.Version[:2], b.Version[:2]))
	})
}

// parseServer reads the fields of INFO.
func parseServer(addr string, info map[string]string) Server {
	s := Server{
		Addr:       addr,
		Compatible: ParseVersion(info["redis_version"]),
		RunID:      info["run_id"],
		History:    info["master_replid"],
		Role:       info["role"],
		Cluster:    info["cluster_enabled"] == "1" || info["redis_mode"] == "cluster",
		Loading:    info["loading"] == "1",
	}
	s.LoadingETA, _ = strconv.Atoi(info["loading_eta_seconds"])
	if before := info["master_replid2"]; strings.Trim(before, "0") != "" {
		s.Followed = before
	}
	if s.Role == "slave" {
		s.MasterAddr = net.JoinHostPort(info["master_host"], info["master_port"])
	}
	_, threads := info["server_threads"] // only KeyDB has these two
	_, mvcc := info["mvcc_depth"]
	switch {
	case info["dragonfly_version"] != "":
		s.Family, s.Version = Dragonfly, ParseVersion(info["dragonfly_version"])
	case info["valkey_version"] != "":
		s.Family, s.Version = Valkey, ParseVersion(info["valkey_version"])
	case threads || mvcc || strings.Contains(info["executable"], "keydb"):
		s.Family, s.Version = KeyDB, s.Compatible
	case info["redis_version"] != "":
		s.Family, s.Version = Redis, s.Compatible
	}
	return s
}

// parseInfo splits the text of INFO or CLUSTER INFO into its fields.
func parseInfo(text string) map[string]string {
	out := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if found && !strings.HasPrefix(name, "#") {
			out[name] = value
		}
	}
	return out
}
