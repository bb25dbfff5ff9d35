package main

import (
	"errors"
	"strings"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

const (
	hintResume = "run again with the same command: keys already there with the same value are no conflict"
	hintGoOn   = "run again with the same command: it goes on from the checkpoint"
	hintRepair = "run the same import again with --on-conflict skip"
	hintAnew   = "run the same import again, with --on-conflict replace as before: keys may be missing, or have the value that they had before"
	hintRights = "the user needs RESTORE and more: ACL SETUSER NAME ~* +restore +dump +pexpiretime +pttl +info +time +asking " +
		"+cluster|slots +cluster|info +cluster|nodes for an import, " +
		"%R~* +dump +pexpiretime +pttl +dbsize +scan +info +time +asking +client|no-touch +cluster|slots for verify, leaving out what the server does not know"
	hintUnknown = "no right brings back a command that the server does not know: rename-command in its configuration or a managed service has taken it away, or this is a proxy; " +
		"start the server without that line for the time of the import, or name a node of the cluster itself"
	hintPieces = "for these the user needs ACL SETUSER NAME +exists +rename +renamenx +unlink +watch +multi +exec +pexpireat and the commands of the types, " +
		"as rdbimport help permissions lists them; --big-value 16MB, or more with more --memory, sends larger values in one command"
	hintPassword = "give the password in the environment variable REDISCLI_AUTH, at a prompt (--askpass) or in the target, and the user with --user or in the target"
	hintCheck    = "redis-cli --cluster check HOST:PORT shows what is wrong"
	hintCopy     = "copy or save the dump again (redis-cli --rdb FILE); redis-check-rdb FILE looks at it too"
)

// hintTable says what a user can do about an error; the first row that fits
// counts.
var hintTable = []struct {
	is   error
	hint string
}{
	{errPartly, ""},
	{errWouldMiss, ""},
	{errLostReplacing, hintAnew},
	{errEvictedReplacing, "raise maxmemory or make room, then " + hintAnew},
	{errLost, hintRepair + ": it puts back what is missing, and leaves what is there"},
	{errEvicted, "raise maxmemory or make room, then " + hintRepair + ": it puts back what is missing"},
	{errUnreadable, "each of them is listed with the reason; a user needs read access to the keys: %R~* (~* before Redis 7.0)"},
	{errCheckpoint, "delete the checkpoint's file to begin anew, or name another one with --checkpoint"},
	{errNoCheckpoint, "name another FILE with --checkpoint: this one is left as it is"},
	{errReplaced, "a server that saves puts a new file in the place of its dump: copy the dump, and name the copy"},
	{errInUse, "wait until it has ended, or stop it; another import needs another file"},
	{pipeline.ErrFewReplicas, "add replicas, or ask for fewer: --wait-replicas 0 waits for none"},
	{errTypes, "without --check everything else is imported, and this is counted as refused (exit code 4)"},
	{pipeline.ErrDatabases, "--db N imports one of them, --merge-dbs puts all into one, --db-prefix 'db%d:' does so with the number before each name; a TARGET that has several and names none takes each as it is"},
	{pipeline.ErrNoDatabase, "raise the setting databases at the target (cluster-databases of a Valkey cluster) above that number, which takes a restart; or --db N imports one database of the dump, --merge-dbs puts all into one, --db-prefix 'db%d:' does so with the number before each name"},
	{pipeline.ErrTargetFull, "raise maxmemory or make room, or wait for it with --on-oom wait; then " + hintResume},
	{slotter.ErrAuth, hintPassword},
	{pipeline.ErrNoProgress, "see what that master does (its log, INFO); --retry-timeout 10m waits longer; then " + hintResume},
	{pipeline.ErrNotCovered, "each slot needs a master: " + hintCheck + "; redis-cli --cluster create makes a cluster of nodes that are none yet"},
	{pipeline.ErrManyNodes, "redis-cli --cluster check HOST:PORT shows what the nodes say of each other, and cluster-announce-ip and its like what they call themselves"},
	{slotter.ErrNoPermission, hintRights},
	{slotter.ErrReplica, "give the address of its master"},
	{slotter.ErrLoading, "try again when the server has loaded its data"},
	{pipeline.ErrPutOff, hintCheck + ": slots that were left half moved, or nodes that do not see each other; then compare again"},
	{slotter.ErrClusterDown, hintCheck},
	{slotter.ErrDatabase, "a cluster has database 0 only (of Valkey 9 and newer as many as its setting cluster-databases says), another server as many as its setting databases says"},
	{slotter.ErrOtherCluster, "name nodes of one cluster only: one is enough, others are for when it is down"},
	{slotter.ErrTLS, hintTLS},
	{slotter.ErrNotRedis, "is it the right port? The target is [redis://]host:port of any node"},
	{slotter.ErrUnreachable, "is the server running, and the address right? Any node of the cluster will do, and several may be given: host:port,host2:port2; --map A=B reaches a node that the cluster calls A"},
	{localcluster.ErrNoServer, "--server PATH names the binary of a server that is elsewhere"},
	{rdbparse.ErrVersion, "--any-version reads it as far as its types are known"},
	{rdbparse.ErrUnknown, "nothing can be read behind it, since its length is not known; a newer rdbimport may know it"},
	{rdbparse.ErrChecksum, "some byte of the dump is not what the server wrote: values may be damaged; " + hintCopy},
	{rdbparse.ErrTruncated, hintCopy},
	{rdbparse.ErrCorrupt, hintCopy + "; docker exec, kubectl exec and ssh change bytes with -t"},
}

// resumeHint says how to go on with an import that has begun. Of an input that is no
// good from its start on nothing is to be gone on with.
func resumeHint(err error) string {
	var begun *begunError
	switch {
	case !errors.As(err, &begun), isDamage(err) && begun.written == 0 && !begun.resumes:
		return ""
	case begun.resumes:
		return hintGoOn
	}
	return hintResume
}

// hintFor returns what a user can do about err, "" if there is nothing to say.
func hintFor(err error) string {
	var usage *usageError
	var exists *pipeline.ConflictError
	var begun *begunError
	var damaged *pipeline.DamagedError
	var src *source.Error
	conflict := errors.As(err, &exists) || errors.Is(err, pipeline.ErrCannotCompare)
	switch {
	case errors.As(err, &usage):
		return usage.hint
	case conflict && errors.As(err, &begun) && begun.resumes:
		return "--on-conflict replace overwrites such keys, --on-conflict skip leaves them; the checkpoint is of an import without, so run again with one of these and another FILE for --checkpoint"
	case conflict:
		return "--on-conflict replace overwrites such keys, --on-conflict skip leaves them; run again with the same command and one of these"
	case errors.As(err, &damaged):
		return "--on-error skip leaves such keys out, counts them and goes on"
	case exitCode(err) == exitInterrupted:
		return resumeHint(err)
	case errors.As(err, &src) && src.Hint != "": // its text has a hint
		if hint := resumeHint(err); hint != "" {
			return "then " + hint
		}
		return ""
	}
	if hint := accessHint(err); hint != "" {
		return hint
	}
	for _, row := range hintTable {
		if errors.Is(err, row.is) {
			if errors.As(err, &begun) && begun.resumes {
				return strings.ReplaceAll(row.hint, hintResume, hintGoOn)
			}
			return row.hint
		}
	}
	return resumeHint(err)
}
