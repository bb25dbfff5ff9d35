package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter"
)

// passwordVariable holds the password, as it does for redis-cli.
const passwordVariable = "REDISCLI_AUTH"

// accessFlags say how to get into the target. They have redis-cli's names.
type accessFlags struct {
	user              string
	askPass           bool
	tls, insecure     bool
	sni               string
	caCert, cert, key string
	addrs             []string
}

func (f *accessFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.user, "user", "", "`NAME` of the ACL user")
	fs.BoolVar(&f.askPass, "askpass", false, "ask for the password (default: the variable "+passwordVariable+")")
	fs.BoolVar(&f.tls, "tls", false, "use TLS, as rediss:// does")
	fs.StringVar(&f.sni, "sni", "", "`HOST` name that the servers' certificates are for")
	fs.StringVar(&f.caCert, "cacert", "", "`FILE` with the certificates of authorities to trust")
	fs.StringVar(&f.cert, "cert", "", "`FILE` with the client's certificate")
	fs.StringVar(&f.key, "key", "", "`FILE` with its private key")
	fs.BoolVar(&f.insecure, "insecure", false, "do not check the servers' certificates")
	fs.StringArrayVar(&f.addrs, "map", nil, "reach a node that the cluster calls A as B, `A=B`: 10.0.0.1:7001=127.0.0.1:9001, or hosts alone; as often as needed")
	annotate(fs, "user", "importer")
	annotate(fs, "map", "10.0.0.1:7001=127.0.0.1:9001")
}

// options makes sense of the flags. It asks for the password if it is to.
func (f *accessFlags) options(target *slotter.Target, con *console) (slotter.Options, error) {
	opt := slotter.Options{User: f.user, Password: os.Getenv(passwordVariable), ClientName: "rdbimport"}
	if f.user != "" && target.User != "" && f.user != target.User {
		return opt, &usageError{"--user and the target name two users", "leave one out"}
	}
	var err error
	if opt.AddrMap, err = f.addrMap(); err != nil {
		return opt, err
	}
	if opt.TLS, err = f.tlsConfig(target); err != nil {
		return opt, err
	}
	if target.PasswordInURL {
		con.warn("a password on the command line can be read by other users of this machine; " + passwordVariable + " or --askpass hides it")
		if f.askPass {
			return opt, &usageError{"--askpass, and yet a password in the target", "leave one out"}
		}
	}
	if f.askPass {
		opt.Password, err = askPassword()
	}
	return opt, err
}

// addrMap returns what the cluster's addresses are to be replaced by.
func (f *accessFlags) addrMap() (map[string]string, error) {
	all := make(map[string]string)
	for _, text := range f.addrs {
		from, to, found := strings.Cut(text, "=")
		_, _, fromErr := net.SplitHostPort(from)
		_, _, toErr := net.SplitHostPort(to)
		if !found || from == "" || to == "" || strings.Contains(to, "=") || (fromErr == nil) != (toErr == nil) {
			return nil, &usageError{fmt.Sprintf("--map %q: no pair of addresses", text), "for example --map 10.0.0.1:7001=127.0.0.1:9001, or --map 10.0.0.1=127.0.0.1"}
		}
		all[from] = to
	}
	return all, nil
}

// tlsConfig returns nil without TLS, or where the defaults will do.
func (f *accessFlags) tlsConfig(target *slotter.Target) (*tls.Config, error) {
	given := f.sni != "" || f.caCert != "" || f.cert != "" || f.key != "" || f.insecure
	if given && !f.tls && !target.TLS {
		return nil, &usageError{"--sni, --cacert, --cert, --key and --insecure are for TLS only", "add --tls, or write the target as rediss://"}
	}
	if !given && !f.tls {
		return nil, nil
	}
	if (f.cert == "") != (f.key == "") {
		return nil, &usageError{"--cert and --key go together", "give both, for example --cert client.crt --key client.key"}
	}
	cfg := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         f.sni,
		InsecureSkipVerify: f.insecure, //nolint:gosec // the user said so
	}
	if f.caCert != "" {
		pem, err := os.ReadFile(f.caCert)
		if err != nil {
			return nil, fmt.Errorf("--cacert: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &usageError{fmt.Sprintf("--cacert %q holds no certificate", f.caCert), "it is a file in PEM form: -----BEGIN CERTIFICATE-----"}
		}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, &usageError{fmt.Sprintf("--cert %q and --key %q: %s", f.cert, f.key, err), hintPair}
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// hintPair says what the two files of a client are.
const hintPair = "both are in PEM form; the key is that of the certificate, and has no passphrase: openssl pkey -in FILE -out OTHER takes it away"

// A listedError is about a server that the target itself has named.
type listedError struct{ err error }

func (e *listedError) Error() string {
	return e.err.Error() + " (the cluster lists it as an owner of slots)"
}
func (e *listedError) Unwrap() error { return e.err }

// listed is err, which was met when cluster had been found, nil if it was not: a server
// that is unreachable then, or something else at its address, is not a mistake in the target.
func listed(cluster *slotter.Cluster, err error) error {
	astray := errors.Is(err, slotter.ErrUnreachable) || errors.Is(err, slotter.ErrNotRedis)
	if cluster == nil || cluster.Standalone() || !astray || isFiles(err) {
		return err
	}
	return &listedError{err}
}

// hintTLS is for what accessHint has no better words for.
const hintTLS = "--cacert FILE names the authority that signed the server's certificate, --sni HOST the name in it, --tls or rediss:// turns TLS on"

// hintMaybeTLS is for a server that answers as one does where only one side speaks TLS.
const hintMaybeTLS = "a port for TLS takes --tls, or rediss:// (--cacert FILE names the authority that signed the certificate); one without takes redis://, and no --tls; " +
	"of a proxy that spreads keys itself, such as twemproxy, name a node behind it"

// accessHint says what can be done where a server or its certificate keeps the
// user out, "" if it is something else.
func accessHint(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		member  *listedError
		node    *slotter.NodeError
	)
	switch {
	case isFiles(err):
		return hintFiles
	case errors.As(err, &unknown):
		return "--cacert FILE names the authority that signed the server's certificate; --insecure does not check it"
	case errors.As(err, &host):
		return "--sni HOST gives the name that the certificate is for, or TARGET names the server by it; --map reaches the other nodes by such names"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the server's certificate, or set the clock; --insecure does not check it"
	case errors.As(err, &record):
		return "leave out --tls, write redis:// for rediss://, or give the port for TLS"
	case errors.Is(err, slotter.ErrClientCert):
		return "--cert FILE and --key FILE give the client's certificate, signed by an authority that the server trusts"
	case errors.As(err, &node) && node.Kind == nil && strings.HasPrefix(node.Msg, "INFO: "):
		return "if this is a proxy, name a node of the cluster itself: the slots and their masters are asked for"
	case strings.Contains(err.Error(), "max number of clients"):
		return "end other connections to that server, or raise its setting maxclients"
	case errors.As(err, &member) && errors.Is(err, slotter.ErrNotRedis):
		return "from here that address leads to something else: --map A=B says by which one the server is reached"
	case errors.As(err, &member):
		return "start that server, or have a replica take its place: redis-cli --cluster check HOST:PORT shows what is wrong; if it is reached by another address from here, --map A=B says by which"
	case errors.Is(err, slotter.ErrMaybeTLS):
		return hintMaybeTLS
	case errors.Is(err, pipeline.ErrPieces):
		return hintPieces
	case errors.Is(err, slotter.ErrNoPermission) && strings.Contains(err.Error(), "unknown command"):
		return hintUnknown
	case strings.Contains(err.Error(), "NOPERM") && strings.Contains(err.Error(), "to run the"):
		return hintRights // met in the course of an import
	}
	return ""
}

// askPassword asks on the terminal itself: standard input may be the dump.
func askPassword() (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", &usageError{"--askpass needs a terminal", "give the password in the environment variable " + passwordVariable}
	}
	defer func() { _ = tty.Close() }()
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("--askpass: %w", err)
	}
	type answer struct {
		password []byte
		err      error
	}
	answered := make(chan answer, 1)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	_, _ = tty.WriteString("password: ")
	go func() { // left behind by a signal, which ends the program
		p, err := term.ReadPassword(fd)
		answered <- answer{p, err}
	}()
	select {
	case a := <-answered:
		_, _ = tty.WriteString("\n")
		if a.err != nil {
			return "", fmt.Errorf("--askpass: %w", a.err)
		}
		return string(a.password), nil
	case <-signals:
		_ = term.Restore(fd, before) // the terminal shows again what is typed
		_, _ = tty.WriteString("\n")
		return "", errInterrupted
	}
}
