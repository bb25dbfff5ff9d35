package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// lost adds up the keys that an import says it may have lost.
func lost(res pipeline.Result) int {
	n := int64(0)
	for _, l := range res.Losses {
		n += l.Keys
	}
	return int(n)
}

// missing returns how many keys of a numbered dump are not on the cluster. Those
// that are there must have the right values, and there must be no others.
func missing(t *testing.T, lc *localcluster.Cluster, n int) int {
	t.Helper()
	absent := 0
	await(t, "all slots to answer", func() bool {
		var err error
		absent, err = count(t, lc, n)
		if err != nil {
			t.Log(err)
		}
		return err == nil
	})
	return absent
}

// count reads all keys of a numbered dump and returns how many are not there.
func count(t *testing.T, lc *localcluster.Cluster, n int) (absent int, err error) {
	t.Helper()
	c, m, err := look(t.Context(), lc)
	if err != nil {
		return 0, err
	}
	defer c.Close() //nolint:errcheck // nothing is lost
	byMaster := make([][]int, len(m.Masters))
	var key []byte
	for i := range n {
		key = appendKey(key[:0], i)
		o := m.Owner(slotter.Slot(key))
		byMaster[o] = append(byMaster[o], i)
	}
	var held int64
	for o, keys := range byMaster {
		gone, err := countAt(t, c, m.Masters[o].Addr, keys)
		if err != nil {
			return 0, err
		}
		absent += gone
		size, err := c.Client(m.Masters[o].Addr).DBSize(t.Context()).Result()
		if err != nil {
			return 0, err
		}
		held += size
	}
	if held != int64(n-absent) {
		// Those that were written for WAIT to speak of are gone after a moment.
		return 0, fmt.Errorf("the masters hold %d keys, %d of which are those of the dump", held, n-absent)
	}
	return absent, nil
}

// look connects to whatever node is up and returns a slot map in which every slot
// has an owner.
func look(ctx context.Context, lc *localcluster.Cluster) (*slotter.Cluster, *slotter.Map, error) {
	var target slotter.Target
	for _, n := range lc.Nodes() {
		target.Seeds = append(target.Seeds, n.Addr)
	}
	c, err := slotter.Connect(ctx, target, slotter.Options{})
	if err != nil {
		return nil, nil, err
	}
	m, err := c.Map(ctx)
	if err == nil && len(m.Missing()) > 0 {
		err = errors.New("slots without an owner")
	}
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return c, m, nil
}

// countAt reads keys of a numbered dump from one master.
func countAt(t *testing.T, c *slotter.Cluster, addr string, keys []int) (absent int, err error) {
	t.Helper()
	conn, err := c.Dial(t.Context(), addr, 0)
	if err != nil {
		return 0, err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	var out []byte
	var key, want []byte
	for _, i := range keys {
		key = appendKey(key[:0], i)
		out = append(out, "*2\r\n$3\r\nGET\r\n$"...)
		out = strconv.AppendInt(out, int64(len(key)), 10)
		out = append(append(append(out, "\r\n"...), key...), "\r\n"...)
	}
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = conn.Write(out) // the replies tell
	}()
	defer func() {
		_ = conn.Close()
		<-wrote
	}()
	r := newLineReader(conn)
	for _, i := range keys {
		line, err := r.line()
		if err != nil {
			return 0, err
		}
		switch {
		case line[0] == '-':
			return 0, errors.New(addr + ": " + string(line))
		case string(line) == "$-1":
			absent++
			continue
		}
		if line, err = r.line(); err != nil {
			return 0, err
		}
		if want = appendValue(want[:0], i); !bytes.Equal(line, want) {
			t.Errorf("key %d has the value %q", i, line)
		}
	}
	return absent, nil
}

// repair imports a dump again, as a user is told to after a loss, and expects
// that to bring exactly what was missing.
func repair(t *testing.T, lc *localcluster.Cluster, dump []byte, n, absent int) {
	t.Helper()
	c, _, err := look(t.Context(), lc)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // nothing is lost
	res := begin(t, c, dump, all(pipeline.ConflictSkip)).complete(n)
	if int(res.Restored) != absent {
		t.Errorf("%d keys were missing, and %d repaired", absent, res.Restored)
	}
	if left := missing(t, lc, n); left != 0 {
		t.Errorf("%d keys are missing after the repair", left)
	}
}

// same imports a dump again under the policy that compares what is there, and
// expects every key to be the same.
func same(t *testing.T, lc *localcluster.Cluster, dump []byte, n int) {
	t.Helper()
	c, _, err := look(t.Context(), lc)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // nothing is lost
	if res := begin(t, c, dump, all(pipeline.ConflictFail)).complete(n); int(res.Existing) != n {
		t.Errorf("second import: %+v", res)
	}
}

// A lineReader reads the lines of replies.
type lineReader struct {
	src  io.Reader
	buf  []byte
	from int
}

func newLineReader(src io.Reader) *lineReader { return &lineReader{src: src} }

func (r *lineReader) line() ([]byte, error) {
	for {
		if i := bytes.Index(r.buf[r.from:], []byte("\r\n")); i >= 0 {
			line := r.buf[r.from : r.from+i]
			r.from += i + 2
			return line, nil
		}
		rest := copy(r.buf, r.buf[r.from:])
		r.buf, r.from = r.buf[:rest], 0
		if cap(r.buf)-rest < 4<<10 {
			r.buf = append(make([]byte, 0, rest+64<<10), r.buf...)
		}
		n, err := r.src.Read(r.buf[rest:cap(r.buf)])
		r.buf = r.buf[:rest+n]
		if n == 0 && err != nil {
			return nil, err
		}
	}
}
