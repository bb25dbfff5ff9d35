package slotter_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// fakeServer answers a command with the reply whose key the command begins with (upper case, words joined by spaces), and anything else,
// HELLO too, with an error.
func fakeServer(t *testing.T, replies map[string]string) string {
	return listen(t, func(conn net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			var words []string
			for _, w := range strings.Split(string(buf[:n]), "\r\n") {
				if w != "" && w[0] != '*' && w[0] != '$' {
					words = append(words, strings.ToUpper(w))
				}
			}
			reply := "-ERR unknown command\r\n"
			for name, r := range replies {
				if strings.HasPrefix(strings.Join(words, " "), name) {
					reply = r
				}
			}
			if _, err := conn.Write([]byte(reply)); err != nil {
				return
			}
		}
	})
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func TestConnectStates(t *testing.T) {
	const wholeMap = "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$-1\r\n:1\r\n$1\r\na\r\n" // a nil host, port 1: nobody there
	clusterInfo := bulk("redis_version:7.0.0\r\nrole:master\r\ncluster_enabled:1\r\n")
	for _, tc := range []struct {
		name    string
		replies map[string]string
		want    error // nil: connects
		text    string
	}{
		{"loading", map[string]string{"INFO": bulk("redis_version:7.0.0\r\nloading:1\r\nloading_eta_seconds:7\r\n")}, slotter.ErrLoading, "7 s"},
		{"loading cluster", map[string]string{"INFO": bulk("cluster_enabled:1\r\nloading:1\r\n"), "CLUSTER SLOTS": "-LOADING Redis is loading\r\n"}, slotter.ErrLoading, ""},
		{"sentinel", map[string]string{"INFO": bulk("redis_version:7.0.0\r\nredis_mode:sentinel\r\n")}, slotter.ErrNotRedis, "Sentinel"},
		{"replica", map[string]string{"INFO": bulk("role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6380\r\n")}, slotter.ErrReplica, "10.0.0.1:6380"},
		{"cluster down", map[string]string{"INFO": clusterInfo, "CLUSTER SLOTS": wholeMap, "CLUSTER INFO": bulk("cluster_state:fail\r\n")}, slotter.ErrClusterDown, "cluster_state"},
		{"cluster up", map[string]string{"INFO": clusterInfo, "CLUSTER SLOTS": wholeMap, "CLUSTER INFO": bulk("cluster_state:ok\r\n")}, nil, ""},
		{"cluster that does not tell", map[string]string{"INFO": clusterInfo, "CLUSTER SLOTS": wholeMap}, nil, ""},
		{"slots missing, so down", map[string]string{"INFO": clusterInfo, "CLUSTER SLOTS": "*0\r\n", "CLUSTER INFO": bulk("cluster_state:fail\r\n")}, nil, ""},
		{"slots forbidden", map[string]string{"INFO": clusterInfo, "CLUSTER SLOTS": "-NOPERM no permissions\r\n"}, slotter.ErrNoPermission, "CLUSTER SLOTS"},
		{"slots nonsense", map[string]string{"INFO": clusterInfo, "CLUSTER SLOTS": "+OK\r\n"}, nil, "not an array"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := fakeServer(t, tc.replies)
			c, err := slotter.Connect(t.Context(), parse(t, addr), slotter.Options{DialTimeout: 10 * time.Second})
			if tc.want == nil && tc.text == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("connected")
			}
			if tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) || !strings.Contains(err.Error(), addr) {
				t.Errorf("error %q, want %v with %q and the address", err, tc.want, tc.text)
			}
		})
	}
}

// listen accepts connections and lets serve have each.
func listen(t *testing.T, serve func(conn net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

func TestNotRedis(t *testing.T) {
	readSome := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)) }
	http := listen(t, func(conn net.Conn) {
		readSome(conn)
		_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
	})
	silent := listen(t, func(conn net.Conn) {
		for _, err := conn.Read(make([]byte, 4096)); err == nil; _, err = conn.Read(make([]byte, 4096)) {
		}
	})
	hangsUp := listen(t, readSome)
	protected := listen(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("-DENIED Redis is running in protected mode\r\n"))
		readSome(conn)
	})
	echoes := listen(t, func(conn net.Conn) { // as old servers do with a command they do not know
		buf := make([]byte, 4096)
		for range 3 {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(conn, "-ERR unknown command with args %s\r\n", strings.ReplaceAll(string(buf[:n]), "\r\n", " "))
		}
	})
	for _, tc := range []struct {
		name, addr string
		want       error
		text       string
	}{
		{"HTTP", http, slotter.ErrNotRedis, "HTTP/1.1"},
		{"silent", silent, slotter.ErrUnreachable, "no answer within 300ms"},
		{"hangs up", hangsUp, slotter.ErrUnreachable, "closed the connection"},
		{"protected", protected, slotter.ErrNoPermission, "protected mode"},
		{"refused", "127.0.0.1:1", slotter.ErrUnreachable, "refused"},
		{"echoes", echoes, nil, "***"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, opt := range []slotter.Options{{}, {Password: "s3cret"}} {
				if tc.want == nil && opt.Password == "" {
					continue
				}
				opt.DialTimeout = 10 * time.Second
				if tc.name == "silent" {
					opt.DialTimeout = 300 * time.Millisecond
				}
				began := time.Now()
				_, err := slotter.Connect(t.Context(), parse(t, tc.addr), opt)
				if err == nil {
					t.Fatal("connected")
				}
				if tc.want != nil && !errors.Is(err, tc.want) {
					t.Errorf("error %v, want %v", err, tc.want)
				}
				if !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("error %q, want %q in it and no secret", err, tc.text)
				}
				if took := time.Since(began); tc.name == "silent" && took > 5*time.Second {
					t.Errorf("took %v", took)
				}
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := slotter.Connect(ctx, parse(t, silent), slotter.Options{DialTimeout: time.Minute})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
	})
}
