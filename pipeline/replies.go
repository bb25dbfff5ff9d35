package pipeline

import (
	"bytes"
	"fmt"
	"strings"
)

// An action is what is done about the reply to a RESTORE.
type action uint8

const (
	actRefused action = iota // this key cannot be restored: count it
	actOK
	actExists   // the key exists: by policy
	actMoved    // send to the node named
	actAsk      // send to the node named, behind ASKING
	actLater    // nothing was executed; try again
	actLoading  // the same, and the master is known to be alive
	actOOM      // the target is full
	actStopAuth // the connection is not, or no longer, allowed to do this
)

// replyTable says what each error reply means; the first prefix that fits
// counts. Sources: server.c, cluster.c and networking.c of Redis 2.6 to 8 and
// Valkey 9.
var replyTable = []struct {
	prefix string
	action action
	reason string // for the report, where the reply's own words are no good
}{
	{"BUSYKEY", actExists, ""},
	{"ERR Target key name is busy", actExists, ""}, // 2.6, 2.8
	{"MOVED ", actMoved, ""},
	{"ASK ", actAsk, ""},
	{"LOADING", actLoading, ""},
	{"TRYAGAIN", actLoading, ""},
	{"CLUSTERDOWN", actLater, ""},
	{"MASTERDOWN", actLater, ""},
	{"READONLY", actLater, ""},
	{"MISCONF", actLater, ""},
	{"NOREPLICAS", actLater, ""},
	{"BUSY ", actLater, ""},
	{"UNBLOCKED", actLater, ""},
	{"ERR max number of clients", actLater, ""},
	{"OOM", actOOM, ""},
	{"NOAUTH", actStopAuth, ""},
	{"NOPERM", actRefused, deniedKey},
	{"ERR Bad data format", actRefused, ""},
	{"ERR DUMP payload version or checksum", actRefused, "the target does not know this version of the value's encoding"},
	{"ERR Unsupported foreign data type", actRefused, ""},
	{"ERR Protocol error: invalid bulk length", actRefused, "the value is larger than the target's proto-max-bulk-len"},
}

// deniedKey is why a key is refused whose name fits none of the user's patterns.
const deniedKey = "NOPERM: the user may not write this key"

// classify returns what to do about an error reply, without its leading "-".
func classify(reply []byte) action {
	if row := replyRow(reply); row >= 0 {
		return replyTable[row].action
	}
	return actRefused
}

// refusalReason returns the reason under which a refusal is counted.
func refusalReason(reply []byte) string {
	if row := replyRow(reply); row >= 0 && replyTable[row].reason != "" {
		return replyTable[row].reason
	}
	return string(reply)
}

// replyRow returns the index of the row of the table that fits, -1 if none does.
func replyRow(reply []byte) int {
	for i := range replyTable {
		if p := replyTable[i].prefix; len(reply) >= len(p) && string(reply[:len(p)]) == p {
			return i
		}
	}
	return -1
}

// deniesCommand reports whether a NOPERM reply forbids the command itself, and
// not the key.
func deniesCommand(reply []byte) bool {
	return bytes.HasPrefix(reply, []byte("NOPERM")) && bytes.Contains(reply, []byte("to run the"))
}

// redirect returns the address in a MOVED or ASK reply; false if there is none: a node that
// is to announce host names writes "?" for one that has none.
func redirect(reply []byte) (addr string, ok bool) {
	fields := strings.Fields(string(reply))
	if len(fields) < 3 || strings.HasPrefix(fields[2], "?:") {
		return "", false
	}
	return fields[2], true
}

// unnamed is the trouble with a redirection that has no address. The slot map knows where
// the slot is once it has been moved.
func unnamed(reply []byte) error {
	return fmt.Errorf("%s: it does not say where that is (is cluster-announce-hostname set on every node?)", reply)
}
