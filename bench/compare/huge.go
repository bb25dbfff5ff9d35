package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/bench/figure"
)

// hugeSet is the set of a few values that no machine should have to hold: it is
// made while it is read, through a pipe, and has no file.
const hugeSet = "huge"

// measureHuge imports the huge set from a pipe. Its floor is what an import has
// sent, kept in files and written by a bare program.
func (b *bench) measureHuge(ctx context.Context) (res setResult, err error) {
	sizes := dataset.DefaultHuge
	for _, n := range []*uint64{&sizes.ZsetMembers, &sizes.HashFields, &sizes.StringBytes} {
		*n = *n * uint64(b.huge) / 100
	}
	stats, err := dataset.Huge(io.Discard, sizes, seed)
	if err != nil {
		return res, err
	}
	s := set{name: hugeSet, keys: int64(stats.Keys), bytes: int64(stats.Bytes)}
	b.note("%s: %d keys, %.1f MB, %d %% of its full size", s.name, s.keys, float64(s.bytes)/1e6, b.huge)
	res = setResult{Name: s.name, Keys: s.keys, Bytes: s.bytes}
	direct := func(ctx context.Context) (cost, error) { return b.pipeImport(ctx, s, sizes, b.masters.URL()) }
	taps, err := b.record(ctx, s, sizes)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, taps.remove()) }()
	for i := range b.pairs {
		var p pair
		if p.Import, err = b.whole(ctx, s, direct); err != nil {
			return res, err
		}
		if p.Floor, err = b.whole(ctx, s, taps.replay); err != nil {
			return res, err
		}
		b.note("%s: pair %d of %d: import %.2f s, floor %.2f s, peak %.0f MB", s.name, i+1, b.pairs, p.Import.Wall, p.Floor.Wall, float64(p.Import.PeakRSS)/1e6)
		res.Pairs = append(res.Pairs, p)
	}
	res.summarise()
	return res, nil
}

// pipeImport imports the set through a pipe while it is made.
func (b *bench) pipeImport(ctx context.Context, s set, sizes dataset.HugeSizes, url string, more ...string) (cost, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return cost{}, err
	}
	var made sync.WaitGroup
	made.Go(func() {
		_, _ = dataset.Huge(w, sizes, seed) // the importer notices what is missing
		_ = w.Close()
	})
	var out bytes.Buffer
	c, err := child{
		path: b.importer, in: r, out: &out,
		args: append(more, "--json", "--quiet", "--progress", "none", "-", url),
	}.run(ctx)
	_ = r.Close()
	made.Wait()
	if err != nil {
		return c, err
	}
	var sum struct {
		Restored int64   `json:"keys_restored"`
		Duration float64 `json:"duration_seconds"`
	}
	if err := json.Unmarshal(out.Bytes(), &sum); err != nil {
		return c, fmt.Errorf("rdbimport --json: %w", err)
	}
	if sum.Restored != s.keys {
		return c, fmt.Errorf("rdbimport restored %d of %d keys", sum.Restored, s.keys)
	}
	c.Own = sum.Duration
	return c, nil
}

// taps are proxies before the masters that keep what they are sent in files.
type taps struct {
	dir  string
	list []*tap
}

// A tap is the proxy before one master.
type tap struct {
	name, to string // the master, the file
	l        net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex
	files []string // of each connection
	err   error
}

// record imports through taps.
func (b *bench) record(ctx context.Context, s set, sizes dataset.HugeSizes) (_ *taps, err error) {
	t := &taps{}
	if t.dir, err = os.MkdirTemp(b.dir, "taps-"); err != nil {
		return nil, err
	}
	var maps []string
	first := ""
	for _, n := range b.masters.Masters() {
		one := &tap{name: filepath.Join(t.dir, filepath.Base(n.Addr)), to: n.Addr}
		if one.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, errors.Join(err, t.remove())
		}
		one.work.Go(one.accept)
		t.list = append(t.list, one)
		maps = append(maps, "--map", n.Addr+"="+one.l.Addr().String())
		if first == "" {
			first = "redis://" + one.l.Addr().String()
		}
	}
	_, err = b.whole(ctx, s, func(ctx context.Context) (cost, error) {
		return b.pipeImport(ctx, s, sizes, first, maps...)
	})
	for _, one := range t.list {
		_ = one.l.Close()
		one.work.Wait()
		err = errors.Join(err, one.err)
	}
	if err != nil {
		return nil, errors.Join(err, t.remove())
	}
	return t, nil
}

func (t *taps) remove() error { return os.RemoveAll(t.dir) }

// accept serves connections until the listener is closed.
func (t *tap) accept() {
	for i := 0; ; i++ {
		client, err := t.l.Accept()
		if err != nil {
			return
		}
		name := fmt.Sprintf("%s-%d", t.name, i)
		t.mu.Lock()
		t.files = append(t.files, name)
		t.mu.Unlock()
		t.work.Go(func() {
			if err := t.carry(client, name); err != nil {
				t.mu.Lock()
				t.err = errors.Join(t.err, err)
				t.mu.Unlock()
			}
		})
	}
}

// carry carries one connection, and keeps what the client sends.
func (t *tap) carry(client net.Conn, name string) error {
	defer client.Close() //nolint:errcheck // it has ended
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	server, err := net.Dial("tcp", t.to)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(client, server) })
	_, err = io.Copy(io.MultiWriter(server, f), client)
	_ = server.Close()
	back.Wait()
	return errors.Join(err, f.Close())
}

// replay writes what was recorded and reads the replies: the floor.
func (t *taps) replay(ctx context.Context) (cost, error) {
	type part struct {
		file *os.File
		conn net.Conn
	}
	var parts []part
	defer func() {
		for _, p := range parts {
			_ = p.file.Close()
			_ = p.conn.Close()
		}
	}()
	for _, one := range t.list {
		for _, name := range one.files {
			f, err := os.Open(name)
			if err != nil {
				return cost{}, err
			}
			conn, err := net.Dial("tcp", one.to)
			if err != nil {
				return cost{}, errors.Join(err, f.Close())
			}
			parts = append(parts, part{f, conn})
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() {
		for _, p := range parts {
			_ = p.conn.Close()
		}
	})
	before := figure.ProcessorTime()
	start := time.Now()
	for _, p := range parts {
		group.Go(func() error {
			if _, err := io.Copy(p.conn, p.file); err != nil {
				return err
			}
			_, err := io.WriteString(p.conn, "*2\r\n$4\r\nECHO\r\n$11\r\nall is done\r\n")
			return err
		})
		group.Go(func() error { return untilDone(p.conn) })
	}
	err := group.Wait()
	wall := time.Since(start)
	stop()
	return cost{Wall: wall.Seconds(), Own: wall.Seconds(), User: (figure.ProcessorTime() - before).Seconds()}, err
}

// untilDone reads replies until the last one.
func untilDone(conn net.Conn) error {
	end := []byte("all is done\r\n")
	buf, last := make([]byte, 64<<10), make([]byte, 0, 64<<10)
	for {
		n, err := conn.Read(buf)
		last = append(last[:0], append(last[max(0, len(last)-len(end)):], buf[:n]...)...)
		if bytes.HasSuffix(last, end) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("replies are missing: %w", err)
		}
	}
}
