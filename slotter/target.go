package slotter

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	defaultPort   = "6379"
	targetExample = "redis://user:password@10.0.0.1:6379,10.0.0.2:6379/0"
	maxDB         = 1<<31 - 1
)

// Target names the servers to connect to, as a user wrote them. Printing it never shows the password.
type Target struct {
	Seeds    []string // host:port of at least one server; IPv6 hosts in brackets
	TLS      bool     // rediss://
	User     string   // "" for the default user
	Password string
	DB       int // database number of the path, 0 without one

	PasswordInURL bool // a password stood in the URL, where other users of the machine can read it
}

// String returns the target as a URL with the password masked.
func (t Target) String() string {
	var b strings.Builder
	b.WriteString("redis")
	if t.TLS {
		b.WriteByte('s')
	}
	b.WriteString("://")
	if t.User != "" {
		b.WriteString(strings.ReplaceAll(url.QueryEscape(t.User), "+", "%20"))
	}
	if t.Password != "" {
		b.WriteString(":***")
	}
	if t.User != "" || t.Password != "" {
		b.WriteByte('@')
	}
	b.WriteString(strings.Join(t.Seeds, ","))
	if t.DB != 0 {
		b.WriteByte('/')
		b.WriteString(strconv.Itoa(t.DB))
	}
	return b.String()
}

// GoString is String, so that %#v does not show the password either.
func (t Target) GoString() string { return t.String() }

// ParseTarget reads [redis://|rediss://][user[:password]@]host[:port][,host[:port]...][/db]. User and password are percent-decoded; an
// IPv6 host stands in brackets; the port is 6379 where none is given. An error names the part that is wrong but never repeats anything
// that could be a password, such as what stands where a port should be.
func ParseTarget(s string) (Target, error) {
	t, err := parseTarget(s)
	if err != nil {
		return Target{}, fmt.Errorf("target: %w (example: %s)", err, targetExample)
	}
	return t, nil
}

func parseTarget(s string) (t Target, err error) {
	rest, err := t.cutScheme(s)
	if err != nil {
		return t, err
	}
	// What follows the hosts is a number, so the last @ ends the user and password, whatever they hold.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if err := t.parseUser(rest[:at]); err != nil {
			return t, err
		}
		rest = rest[at+1:]
	}
	if strings.ContainsAny(rest, "?#") {
		return t, errors.New("options after ? or # are not supported; use flags")
	}
	hosts, path, hasPath := strings.Cut(rest, "/")
	if hasPath && path != "" {
		db, err := strconv.ParseUint(path, 10, 64)
		if err != nil || db > maxDB {
			return t, errors.New("what follows the / after the host must be a database number")
		}
		t.DB = int(db)
	}
	return t, t.parseHosts(hosts)
}

// cutScheme removes the scheme, which may be missing.
func (t *Target) cutScheme(s string) (string, error) {
	if s == "" {
		return "", errors.New("empty")
	}
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../") {
		return "", errors.New("unix sockets are not supported; give host:port")
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found || strings.ContainsAny(scheme, ":@/,") {
		return s, nil
	}
	switch strings.ToLower(scheme) {
	case "redis", "valkey":
	case "rediss", "valkeys":
		t.TLS = true
	case "unix", "redis+unix", "redis-socket", "valkey+unix":
		return "", errors.New("unix sockets are not supported; give host:port")
	default:
		return "", fmt.Errorf("scheme %q is not redis or rediss", scheme)
	}
	return rest, nil
}

// parseUser reads user[:password].
func (t *Target) parseUser(info string) error {
	if strings.ContainsAny(info, "@,") {
		return errors.New("user and password stand once, before all hosts; inside them write @ as %40 and a comma as %2C")
	}
	user, password, hasPassword := strings.Cut(info, ":")
	var err error
	if t.User, err = url.PathUnescape(user); err != nil {
		return errors.New("bad percent-encoding in the user name (write % as %25)")
	}
	if t.Password, err = url.PathUnescape(password); err != nil {
		return errors.New("bad percent-encoding in the password (write % as %25)")
	}
	t.PasswordInURL = hasPassword && password != ""
	return nil
}

func (t *Target) parseHosts(hosts string) error {
	list := strings.Split(hosts, ",")
	for i, h := range list {
		addr, err := parseHost(h)
		if err != nil {
			if len(list) > 1 {
				return fmt.Errorf("host %d of %d: %w", i+1, len(list), err)
			}
			return err
		}
		if !slices.Contains(t.Seeds, addr) {
			t.Seeds = append(t.Seeds, addr)
		}
	}
	return nil
}

// ipv6Host takes an IPv6 address without brackets apart, with or without a port: what stands
// behind the last colon is one if it looks like one. It returns nothing if s is no such address.
func ipv6Host(s string) (ip, port string) {
	const least = 4 // digits, as the ports of servers have
	at := strings.LastIndexByte(s, ':')
	before, last := s[:at], s[at+1:]
	if n, err := strconv.ParseUint(last, 10, 16); err == nil && n > 0 && len(last) >= least {
		if ip, err := netip.ParseAddr(before); err == nil && ip.Is6() {
			return before, last
		}
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return s, defaultPort
	}
	return "", ""
}

// parseHost reads host[:port] and returns host:port.
func parseHost(s string) (string, error) {
	host, port := s, ""
	switch {
	case strings.HasPrefix(s, "["):
		inner, after, found := strings.Cut(s[1:], "]")
		if !found {
			return "", errors.New("no ] after the IPv6 address")
		}
		if ip, err := netip.ParseAddr(inner); err != nil || !ip.Is6() {
			return "", errors.New("no IPv6 address between [ and ]")
		}
		if after != "" && after[0] != ':' {
			return "", errors.New("only :port may follow the ] of an IPv6 address")
		}
		host, port = inner, after
	case strings.Count(s, ":") > 1:
		if ip, port := ipv6Host(s); ip != "" {
			return "", fmt.Errorf("an IPv6 address needs brackets: [%s]:%s", ip, port)
		}
		return "", errors.New("more than one colon in host:port (is the @ after the password missing?)")
	default:
		if i := strings.IndexByte(s, ':'); i >= 0 {
			host, port = s[:i], s[i:]
		}
	}
	if host == "" {
		return "", errors.New("the host is missing")
	}
	if _, err := strconv.ParseUint(host, 10, 64); err == nil {
		return "", errors.New("a number alone is no host; write host:port")
	}
	if i := strings.IndexFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`"'<>\^{|}`+"`", r) }); i >= 0 {
		return "", fmt.Errorf("a host name cannot hold %q", host[i])
	}
	if port == "" {
		port = ":" + defaultPort
	}
	n, err := strconv.ParseUint(port[1:], 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("the port of host %q must be a number from 1 to 65535", host)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}
