package pipeline_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestOldServer expects a damaged value never to reach a Redis 6.0, which would
// exit on it, though its type is one that the server knows.
func TestOldServer(t *testing.T) {
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0009")
	w.SelectDB(0)
	w.Key(dataset.TypeString, []byte("good"), dataset.AppendString(nil, "x"))
	damaged := dataset.AppendZiplist(nil, [][]byte{[]byte("a"), []byte("b")})
	damaged[10] = 200 // the length before the first element
	w.Key(dataset.TypeListZiplist, []byte("bad"), dataset.AppendString(nil, damaged))
	w.Key(dataset.TypeString, []byte("no LZF"), []byte("\xc3\x05\x1e\xe0\xff\x10aa"))
	w.Key(dataset.TypeString, []byte("too short"), []byte("\xc3\x05\x32\x03abcd"))
	w.Key(dataset.TypeListZiplist, []byte("fine"), dataset.AppendString(nil, dataset.AppendZiplist(nil, [][]byte{[]byte("a")})))
	w.Key(dataset.TypeString, []byte("compressed"), dataset.AppendLZFString(nil, make([]byte, 100)))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	old := matrixServers(t)[0]
	if old.name != "redis-6.0" {
		t.Skip("no redis-6.0 (make servers)")
	}
	lc := start(t, localcluster.Options{Standalone: true, Binary: old.binary})
	c := connect(t, lc.URL())
	opts := all(pipeline.ConflictFail)
	opts.SkipDamaged = true
	res, err := imports(t, c, buf.Bytes(), opts)
	if err != nil || res.Restored != 3 || res.Failed != 3 {
		t.Errorf("%v, %+v", err, res)
	}
	if err := lc.Nodes()[0].Client().Ping(t.Context()).Err(); err != nil {
		t.Errorf("the server is gone: %v", err)
	}
}

// TestOldServerStrict expects values never to reach a Redis 6.0 that it would exit on
// though each of their parts is sound.
func TestOldServerStrict(t *testing.T) {
	old := matrixServers(t)[0]
	if old.name != "redis-6.0" {
		t.Skip("no redis-6.0 (make servers)")
	}
	lc := start(t, localcluster.Options{Standalone: true, Binary: old.binary})
	opts := all(pipeline.ConflictFail)
	opts.SkipDamaged = true
	res, err := imports(t, connect(t, lc.URL()), strictDump(t), opts)
	if err != nil || res.Restored != 1 || res.Filtered != 4 || res.Failed != res.Read-5 {
		t.Errorf("%v, %+v", err, res)
	}
	if keys := lc.Nodes()[0].Client().Keys(t.Context(), "*").Val(); len(keys) != 1 || keys[0] != "good" {
		t.Errorf("%q", keys)
	}
}

// TestEmptyNodes puts lists with nodes of no items on every server, which are then
// lists like any other.
func TestEmptyNodes(t *testing.T) {
	node := dataset.AppendRawString(nil, dataset.AppendZiplist(nil, [][]byte{[]byte("a"), []byte("b")}))
	none := dataset.AppendRawString(nil, dataset.AppendZiplist(nil, nil))
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0007")
	for name, nodes := range map[string][][]byte{"first": {{2}, none, node}, "last": {{2}, node, none}, "both": {{3}, none, node, none}} {
		w.Key(dataset.TypeListQuicklist, []byte(name), bytes.Join(nodes, nil))
	}
	noError(t, w.Close())
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			lc := s.run(t, true)
			c := connect(t, lc.URL())
			_, err := imports(t, c, buf.Bytes(), allOptions())
			noError(t, err)
			if res, found := verifies(t, c, buf.Bytes(), verifyOpts()); res.Same != 3 {
				t.Errorf("%+v, %v", res, found)
			}
			for _, key := range []string{"first", "last", "both"} {
				client := lc.Nodes()[0].Client()
				first, err1 := client.LPop(t.Context(), key).Result()
				last, err2 := client.Do(t.Context(), "RPOPLPUSH", key, "other").Text()
				if first != "a" || last != "b" || err1 != nil || err2 != nil {
					t.Errorf("%s: %q, %v, %q, %v", key, first, err1, last, err2)
				}
			}
		})
	}
}

// addEmpty adds collections of no elements, in encodings that show it only when they
// are opened.
func addEmpty(w *dataset.Writer) {
	ziplist := dataset.AppendRawString(nil, dataset.AppendZiplist(nil, nil))
	w.Key(dataset.TypeListZiplist, []byte("no items"), ziplist)
	w.Key(dataset.TypeListQuicklist, []byte("a node of no items"), append([]byte{1}, ziplist...))
	w.Key(dataset.TypeSetIntset, []byte("no numbers"), dataset.AppendRawString(nil, []byte{2, 0, 0, 0, 0, 0, 0, 0}))
	w.Key(dataset.TypeHashListpack, []byte("no fields"), dataset.AppendRawString(nil, dataset.AppendListpack(nil, nil)))
}

// TestPackedOfNothing has them counted as filtered by the plan, the import and the
// comparison, whoever leaves them out.
func TestPackedOfNothing(t *testing.T) {
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	addEmpty(w)
	w.Key(dataset.TypeString, []byte("k"), dataset.AppendString(nil, "v"))
	noError(t, w.Close())
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, s.run(t, true).URL())
			if _, plan := plans(t, c, buf.Bytes(), allOptions()); plan.Filtered.Keys != 4 || plan.Sent().Keys != 1 {
				t.Errorf("planned: %+v, %+v", plan.Filtered, plan.Sent())
			}
			if res, err := imports(t, c, buf.Bytes(), allOptions()); err != nil || res.Filtered != 4 || res.Restored != 1 {
				t.Errorf("imported: %v, %+v", err, res)
			}
			if res, found := verifies(t, c, buf.Bytes(), verifyOpts()); res.Filtered != 4 || res.Same != 1 {
				t.Errorf("compared: %+v, %v", res, found)
			}
		})
	}
}

// strictDump returns a dump of a good stream, of empty collections, and of values of
// which parts contradict each other.
func strictDump(t *testing.T) []byte {
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0011")
	id, other := dataset.StreamID{Ms: 1, Seq: 1}, dataset.StreamID{Ms: 2, Seq: 1}
	stream := func(name string, typ dataset.Type, change func(s *dataset.Stream)) {
		s := dataset.NewStream([]dataset.StreamEntry{{ID: id, Fields: [][]byte{[]byte("f"), []byte("v")}}}, 1)
		s.Groups = []dataset.Group{{Name: "g", LastID: id, Pending: []dataset.Pending{{ID: id, Count: 1}},
			Consumers: []dataset.Consumer{{Name: "c", Pending: []dataset.StreamID{id}}}}}
		change(s)
		w.Key(typ, []byte(name), dataset.AppendStream(nil, typ, s))
	}
	stream("good", dataset.TypeStream, func(*dataset.Stream) {})
	for _, typ := range []dataset.Type{dataset.TypeStream, dataset.TypeStream3} {
		name := fmt.Sprint("stream ", typ, ": ")
		stream(name+"owned, not pending", typ, func(s *dataset.Stream) { s.Groups[0].Consumers[0].Pending[0] = other })
		stream(name+"pending with nobody", typ, func(s *dataset.Stream) { s.Groups[0].Consumers = nil })
		stream(name+"pending twice", typ, func(s *dataset.Stream) { s.Groups[0].Pending = append(s.Groups[0].Pending, s.Groups[0].Pending...) })
		stream(name+"group twice", typ, func(s *dataset.Stream) { s.Groups = append(s.Groups, s.Groups...) })
		stream(name+"node twice", typ, func(s *dataset.Stream) { s.Nodes = append(s.Nodes, s.Nodes...) })
	}
	var pairs, scored [][]byte
	for i := range 600 {
		pairs = append(pairs, fmt.Appendf(nil, "f%d", i%599), []byte("v"))
		scored = append(scored, fmt.Appendf(nil, "f%d", i%599), fmt.Append(nil, i%599))
	}
	w.Key(dataset.TypeHash, []byte("hash"), dataset.AppendHash(nil, pairs))
	w.Key(dataset.TypeHashZiplist, []byte("hash as ziplist"), dataset.AppendRawString(nil, dataset.AppendZiplist(nil, pairs)))
	w.Key(dataset.TypeHashListpack, []byte("hash as listpack"), dataset.AppendRawString(nil, dataset.AppendListpack(nil, pairs)))
	w.Key(dataset.TypeZsetZiplist, []byte("zset as ziplist"), dataset.AppendRawString(nil, dataset.AppendZiplist(nil, scored)))
	addEmpty(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestOldServerBigStrings expects a large compressed string to reach a Redis 6.0 only if it
// can be decompressed: the server takes one that gives less than it says, and what lay in
// its memory with it, and exits on others.
func TestOldServerBigStrings(t *testing.T) {
	t.Parallel()
	s := matrixServerNamed(t, "redis-6.0")
	lc := s.run(t, true)
	c, client := connect(t, lc.URL()), lc.Nodes()[0].Client()
	plain := strings.Repeat("what compresses well, ", 20_000)
	whole := dataset.AppendLZFString(nil, []byte(plain))
	short, nowhere := bytes.Clone(whole), bytes.Clone(whole)
	short[7]++                        // the lowest byte of the length that it says
	copy(nowhere[8:], "\xe0\xff\xff") // the first thing is a reference
	dump := written(t, "REDIS0009", func(w *dataset.Writer) {
		w.SelectDB(0)
		w.ExpireMs(future)
		w.Key(dataset.TypeString, []byte("whole"), whole)
		w.Key(dataset.TypeString, []byte("shorter than it says"), short)
		w.Key(dataset.TypeString, []byte("from nowhere"), nowhere)
		w.Key(dataset.TypeString, []byte("plain"), dataset.AppendRawString(nil, plain))
	})
	opts := pieces(pipeline.ConflictFail)
	opts.Memory, opts.SkipDamaged = small, true
	plan := plansBig(t, c, dump, opts)
	if plan.Refused.Keys != 2 || plan.Sent().Keys != 2 || !slices.Contains(plan.InPieces.Kinds, rdbparse.KindString) {
		t.Errorf("%+v", plan)
	}
	for _, through := range []string{"a file", "a pipe"} {
		s.empty(t, lc, false)
		var res pipeline.Result
		var err error
		if through == "a file" {
			res, err = bigImports(t, c, dump, opts)
		} else {
			res, err = spooledImport(t, lc, dump, opts, true)
		}
		if err != nil || res.Restored != 2 || res.Failed != 2 || len(res.Errors) != 1 || !strings.HasPrefix(res.Errors[0].Reason, pipeline.DamagedReason) {
			t.Errorf("%s: %v, %+v", through, err, res)
		}
		if keys := client.Keys(t.Context(), "*").Val(); len(keys) != 2 || client.Get(t.Context(), "whole").Val() != plain || client.Get(t.Context(), "plain").Val() != plain {
			t.Errorf("%s: %q", through, keys)
		}
		if at := client.PTTL(t.Context(), "whole").Val(); at <= 0 {
			t.Errorf("%s: %v to live", through, at)
		}
		noTemporary(t, lc)
	}
}
