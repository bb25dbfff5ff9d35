package slotter

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

// What can be wrong with a node; errors.Is finds them in everything this package returns.
var (
	ErrUnreachable  = errors.New("unreachable")              // no connection, or no answer in time
	ErrTLS          = errors.New("TLS failed")               // certificate refused, or only one side speaks TLS
	ErrClientCert   = errors.New("no client certificate")    // with ErrTLS: the server wants a certificate, or another one
	ErrMaybeTLS     = errors.New("TLS on one side only?")    // with ErrUnreachable: as a port does that is for TLS, or for none
	ErrNotRedis     = errors.New("not a Redis server")       // something answers, but not in Redis's protocol; or a Sentinel
	ErrAuth         = errors.New("authentication failed")    // wrong or missing user or password
	ErrNoPermission = errors.New("no permission")            // the ACL user may not, or protected mode
	ErrLoading      = errors.New("server is loading")        // still reading its data set; will be ready later
	ErrReplica      = errors.New("server is a replica")      // a standalone replica: writes go to its master
	ErrClusterDown  = errors.New("cluster is down")          // every slot has an owner, but no node says the cluster works
	ErrDatabase     = errors.New("database not available")   // SELECT refused
	ErrOtherCluster = errors.New("another cluster")          // the target names nodes that do not belong together
	ErrClosed       = errors.New("cluster handle is closed") // used after Close
)

// NodeError is what went wrong with one node. It matches its Kind, one of the errors of this package, and what caused it. Its text never
// holds the password.
type NodeError struct {
	Addr string // host:port
	Kind error  // such as ErrAuth; nil for a reply that fits none
	Msg  string // what happened
	Err  error  // the cause; nil where its text might repeat a secret
}

func (e *NodeError) Error() string {
	switch {
	case e.Kind == nil:
		return e.Addr + ": " + e.Msg
	case e.Msg == "":
		return e.Addr + ": " + e.Kind.Error()
	}
	return e.Addr + ": " + e.Kind.Error() + ": " + e.Msg
}

// Unwrap returns Kind and Err, as far as they are set.
func (e *NodeError) Unwrap() []error {
	var out []error
	if e.Kind != nil {
		out = append(out, e.Kind)
	}
	if e.Err != nil {
		out = append(out, e.Err)
	}
	return out
}

// replyKinds maps the beginning of an error reply to what it means. First match wins.
var replyKinds = []struct {
	prefix string
	kind   error
}{
	{"NOAUTH", ErrAuth},
	{"WRONGPASS", ErrAuth},
	{"ERR invalid password", ErrAuth},                     // before 6.0
	{"ERR Client sent AUTH", ErrAuth},                     // before 6.0: no password is set
	{"ERR AUTH ", ErrAuth},                                // 6.0: no password is set for the default user
	{"ERR wrong number of arguments for 'auth'", ErrAuth}, // before 6.0: a user name was given
	{"ERR HELLO must be called", ErrAuth},
	{"NOPERM", ErrNoPermission},
	{"DENIED", ErrNoPermission}, // protected mode
	{"LOADING", ErrLoading},
	{"CLUSTERDOWN", ErrClusterDown},
	{"ERR max number of clients", ErrUnreachable},
	{"ERR DB index", ErrDatabase},
	{"ERR invalid DB index", ErrDatabase},
	{"ERR SELECT is not allowed", ErrDatabase},
}

// replyError is the NodeError for an error reply (without its leading -).
func (d *dialer) replyError(addr, reply string) *NodeError {
	text := d.redact(strings.TrimSpace(reply))
	e := &NodeError{Addr: addr, Msg: text}
	for _, k := range replyKinds {
		if strings.HasPrefix(reply, k.prefix) {
			e.Kind = k.kind
			break
		}
	}
	if e.Kind == ErrAuth && d.opt.Password == "" && (strings.HasPrefix(reply, "NOAUTH") || strings.HasPrefix(reply, "ERR HELLO must be called")) { //nolint:errorlint // the kind itself
		e.Msg = "it asks for a password, and none is given"
	}
	return e
}

// redact masks the password in a text that came from the server: old servers repeat the arguments of a command they do not know, and
// that may have been HELLO with AUTH.
func (d *dialer) redact(text string) string {
	if d.opt.Password == "" {
		return text
	}
	return masked(text, d.opt.Password)
}

// shortSecret is the length below which a secret is masked only where it stands alone, as an argument does that a server repeats: other
// words may hold it by chance, and to mask it there would make them unreadable, and tell what it is.
const shortSecret = 4

// masked returns text without secret, which is not empty.
func masked(text, secret string) string {
	if len(secret) >= shortSecret {
		return strings.ReplaceAll(text, secret, "***")
	}
	var out strings.Builder
	for {
		at := strings.Index(text, secret)
		if at < 0 {
			out.WriteString(text)
			return out.String()
		}
		end := at + len(secret)
		before, _ := utf8.DecodeLastRuneInString(out.String() + text[:at])
		after, _ := utf8.DecodeRuneInString(text[end:])
		out.WriteString(text[:at])
		if inWord(before) || inWord(after) {
			out.WriteString(secret)
		} else {
			out.WriteString("***")
		}
		text = text[end:]
	}
}

// inWord reports whether r is a letter or a digit.
func inWord(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// nodeError explains an error of a connection or of a command to addr. ctx is the caller's, without this package's own time limit.
func (d *dialer) nodeError(ctx context.Context, addr string, err error) error {
	var have *NodeError
	if err == nil || errors.As(err, &have) {
		return err
	}
	ctxErr := ctx.Err()
	if deadline, ok := ctx.Deadline(); ok && ctxErr == nil && !time.Now().Before(deadline) {
		ctxErr = context.DeadlineExceeded // the connection has the same deadline, and its timer may be first
	}
	if ctxErr != nil {
		e := &NodeError{Addr: addr, Msg: ctxErr.Error(), Err: ctxErr}
		if errors.Is(ctxErr, context.DeadlineExceeded) {
			e.Kind = ErrUnreachable
		}
		return e
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		if err == redis.Nil {
			return &NodeError{Addr: addr, Kind: ErrNotRedis, Msg: "a nil reply where none can be"}
		}
		return d.replyError(addr, reply.Error())
	}
	msg, kind := d.transportKind(err)
	switch {
	case kind == ErrTLS && strings.Contains(alertOf(err), "certificate"):
		err = errors.Join(ErrClientCert, err)
	case d.tls == nil && hungUp(err), errors.Is(err, errHandshake) && timedOut(err):
		err = errors.Join(ErrMaybeTLS, err)
	}
	return &NodeError{Addr: addr, Kind: kind, Msg: msg, Err: err}
}

// alertOf returns what the server said before it ended a TLS connection, "" if it said nothing: "tls: certificate required".
func alertOf(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return op.Err.Error()
	}
	return ""
}

// timedOut reports whether err is that of waiting for too long.
func timedOut(err error) bool {
	var netErr net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout()
}

// hungUp reports whether err is that of a connection which the other side has closed.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// transportKind says what an error that is no reply means.
func (d *dialer) transportKind(err error) (msg string, kind error) {
	var (
		record  tls.RecordHeaderError
		alert   tls.AlertError
		verify  *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		op      *net.OpError
	)
	switch {
	case errors.As(err, &record):
		return "the server does not speak TLS on this port", ErrTLS
	case errors.As(err, &alert), errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &host):
		return strings.TrimPrefix(err.Error(), errHandshake.Error()+": "), ErrTLS
	case alertOf(err) != "":
		return "the server refuses: " + alertOf(err), ErrTLS
	case timedOut(err):
		msg = "no answer within " + d.opt.DialTimeout.String()
		if errors.Is(err, errHandshake) {
			msg += " (does it speak TLS on this port?)"
		}
		return msg, ErrUnreachable
	case hungUp(err):
		if d.tls == nil {
			return "closed the connection without an answer (a port for TLS, that of the cluster bus or of another service, or a proxy?)", ErrUnreachable
		}
		if len(d.tls.Certificates) == 0 {
			return "closed the connection without an answer (it may want a client's certificate)", ErrUnreachable
		}
		return "closed the connection without an answer", ErrUnreachable
	case errors.As(err, &op):
		return op.Err.Error(), ErrUnreachable
	case strings.HasPrefix(err.Error(), "redis: "): // go-redis could not parse a reply
		msg = strings.TrimPrefix(err.Error(), "redis: ")
		if _, said, quoted := strings.Cut(msg, "reply: "); quoted {
			msg = "it answers " + said
		}
		return d.redact(msg), ErrNotRedis
	}
	return err.Error(), ErrUnreachable
}

// seedErrors is what happened to each address that was tried.
type seedErrors []error

func (s seedErrors) Error() string {
	parts := make([]string, len(s))
	for i, err := range s {
		parts[i] = err.Error()
	}
	return strings.Join(parts, "; ")
}

// Unwrap returns the errors of all addresses.
func (s seedErrors) Unwrap() []error { return s }
