package slotter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTarget(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Target
		text string // what String returns
	}{
		{"127.0.0.1:7001", Target{Seeds: []string{"127.0.0.1:7001"}}, "redis://127.0.0.1:7001"},
		{"redis://h", Target{Seeds: []string{"h:6379"}}, "redis://h:6379"},
		{"redis://h:1/", Target{Seeds: []string{"h:1"}}, "redis://h:1"},
		{"h/3", Target{Seeds: []string{"h:6379"}, DB: 3}, "redis://h:6379/3"},
		{"REDISS://h:1,h2:2/15", Target{Seeds: []string{"h:1", "h2:2"}, TLS: true, DB: 15}, "rediss://h:1,h2:2/15"},
		{"redis://h:1,h:1,h", Target{Seeds: []string{"h:1", "h:6379"}}, "redis://h:1,h:6379"},
		{"redis://bob@h", Target{Seeds: []string{"h:6379"}, User: "bob"}, "redis://bob@h:6379"},
		{"redis://bob:s3cret@h", Target{Seeds: []string{"h:6379"}, User: "bob", Password: "s3cret", PasswordInURL: true}, "redis://bob:***@h:6379"},
		{"redis://:s3cret@h", Target{Seeds: []string{"h:6379"}, Password: "s3cret", PasswordInURL: true}, "redis://:***@h:6379"},
		{"bob:s3cret@h:1", Target{Seeds: []string{"h:1"}, User: "bob", Password: "s3cret", PasswordInURL: true}, "redis://bob:***@h:1"},
		{"redis://bob:@h", Target{Seeds: []string{"h:6379"}, User: "bob"}, "redis://bob@h:6379"},
		{"redis://b%40b:s%3A3%2Fc%25%2C@h", Target{Seeds: []string{"h:6379"}, User: "b@b", Password: "s:3/c%,", PasswordInURL: true}, "redis://b%40b:***@h:6379"},
		{"redis://:a/b:c?d#e+f@h/1", Target{Seeds: []string{"h:6379"}, Password: "a/b:c?d#e+f", PasswordInURL: true, DB: 1}, "redis://:***@h:6379/1"},
		{"redis://[::1]:7001,[2001:db8::2]", Target{Seeds: []string{"[::1]:7001", "[2001:db8::2]:6379"}}, "redis://[::1]:7001,[2001:db8::2]:6379"},
		{"[fe80::1%eth0]:1", Target{Seeds: []string{"[fe80::1%eth0]:1"}}, "redis://[fe80::1%eth0]:1"},
	} {
		got, err := ParseTarget(tc.in)
		if err != nil {
			t.Errorf("%q: %v", tc.in, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.in, diff)
		}
		if got.String() != tc.text {
			t.Errorf("%q: String = %q, want %q", tc.in, got.String(), tc.text)
		}
	}
}

func TestParseTargetErrors(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", "empty"},
		{"redis://", "host is missing"},
		{"redis://:7001", "host is missing"},
		{"redis://h:1,,h2", "host 2 of 3: the host is missing"},
		{"http://h:1", `scheme "http"`},
		{"unix:///tmp/redis.sock", "unix sockets"},
		{"/tmp/redis.sock", "unix sockets"},
		{"./redis.sock", "unix sockets"},
		{"h:0", `port of host "h"`},
		{"h:65536", `port of host "h"`},
		{"h:", `port of host "h"`},
		{"h:+1", `port of host "h"`},
		{"redis://default:s3cret", `port of host "default"`},
		{"redis://bob:s3cret:h:1", "missing"},
		{"::1", "[::1]:6379"},
		{"::1:7001", "[::1]:7001"},
		{"2001:db8:0:0:0:0:0:1:7001", "[2001:db8:0:0:0:0:0:1]:7001"},
		{"2001:db8:0:0:0:0:0:7001", "[2001:db8:0:0:0:0:0:7001]:6379"},
		{"2001:db8::a:1", "[2001:db8::a:1]:6379"},
		{"::1:7001:x", "more than one colon"},
		{"[::1", "no ]"},
		{"[h]:1", "no IPv6"},
		{"[127.0.0.1]:1", "no IPv6"},
		{"[::1]x", "may follow"},
		{"redis://bob:s3cret@h/s3cret", "database number"},
		{"h/-1", "database number"},
		{"h/1/2", "database number"},
		{"h/99999999999999999999", "database number"},
		{"h?db=1", "options after"},
		{"redis://u:s3cret@h1,u:s3cret@h2", "%40"},
		{"redis://bob:s3cr%zzet@h", "password"},
		{"redis://b%zz:s3cret@h", "user name"},
		{"redis://h h:1", "cannot hold"},
		{"redis://h\x00:1", "cannot hold"},
	} {
		got, err := ParseTarget(tc.in)
		if err == nil {
			t.Errorf("%q: no error, got %v", tc.in, got)
			continue
		}
		if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: error %q does not mention %q", tc.in, err, tc.want)
		}
		if strings.Contains(err.Error(), "s3c") {
			t.Errorf("%q: the error shows the password: %v", tc.in, err)
		}
		if !strings.Contains(err.Error(), "example") {
			t.Errorf("%q: no example in %q", tc.in, err)
		}
	}
}

func TestTargetHidesPassword(t *testing.T) {
	target, err := ParseTarget("redis://bob:s3cret@h")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, target); strings.Contains(text, "s3cret") {
			t.Errorf("%s shows it: %s", format, text)
		}
		if text := fmt.Sprintf(format, &target); strings.Contains(text, "s3cret") {
			t.Errorf("%s of a pointer shows it: %s", format, text)
		}
	}
}

// FuzzParseTarget: nothing panics, and what is accepted means the same when written out again.
func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"h", "redis://bob:s3cret@h:1,h2/3", "rediss://[::1]:7", "unix:///x", "a%40b@c", "[fe80::1%eth0]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTarget(s)
		if err != nil {
			return
		}
		if len(got.Seeds) == 0 {
			t.Fatalf("%q: no seeds", s)
		}
		again, err := ParseTarget(got.String())
		if err != nil {
			t.Fatalf("%q: written as %q: %v", s, got, err)
		}
		// What cannot come back: the password, masked.
		if again.PasswordInURL = got.PasswordInURL; again.Password != "" {
			again.Password = got.Password
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("%q: %s", s, diff)
		}
	})
}
