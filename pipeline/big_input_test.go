package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// A badDump is a dump in which something is wrong within a large value, that of
// the key "large", with a small key before it and one behind.
type badDump struct {
	name   string
	dump   []byte
	offset int64 // of the key's record
	cut    bool  // nothing behind it can be read
	what   string
}

// around makes a dump of a value and the small keys, and returns where it begins.
func around(t *testing.T, typ dataset.Type, value []byte) (dump []byte, offset int64) {
	t.Helper()
	dump = written(t, "REDIS0010", func(w *dataset.Writer) {
		w.SelectDB(0)
		w.Key(dataset.TypeString, []byte("before"), dataset.AppendString(nil, "x"))
		w.Key(typ, []byte("large"), value)
		w.Key(dataset.TypeString, []byte("behind"), dataset.AppendString(nil, "x"))
	})
	return dump, int64(bytes.Index(dump, []byte("\x05large")) - 1)
}

// badDumps are dumps that are cut, or damaged.
func badDumps(t *testing.T) (all []badDump) {
	t.Helper()
	add := func(name, what string, cut bool, typ dataset.Type, value []byte, alter func(dump []byte, from int) []byte) {
		dump, offset := around(t, typ, value)
		if alter != nil {
			dump = alter(dump, int(offset)+7)
		}
		all = append(all, badDump{name, dump, offset, cut, what})
	}
	for _, k := range pieceKinds {
		value := k.value(30_000)
		add("cut "+k.name, "", true, k.typ, value, func(dump []byte, from int) []byte { return dump[:from+len(value)*2/3] })
		add("cut early "+k.name, "", true, k.typ, value, func(dump []byte, from int) []byte { return dump[:from+10] })
	}
	// The frame is sound, what stands in it is not.
	var nodes []dataset.Node
	for i := range 3000 {
		nodes = append(nodes, dataset.Node{Data: dataset.AppendListpack(nil, manyTexts(fmt.Sprint("node ", i), 20))})
	}
	nodes[2500].Data[0] += 3 // more bytes than there are
	add("listpack of a list node", "does not fit its own encoding", false, dataset.TypeListQuicklist2, dataset.AppendQuicklist2(nil, nodes), nil)
	nodes[2500].Data[0] -= 3
	nodes[2900].Data = nodes[2900].Data[:len(nodes[2900].Data)-1] // without its end
	add("end of a list node", "does not fit its own encoding", false, dataset.TypeListQuicklist2, dataset.AppendQuicklist2(nil, nodes), nil)
	stream := manyEntries(30_000)
	stream.Nodes[500].Listpack[4] ^= 0x7f
	add("node of a stream", "does not fit its own encoding", false, dataset.TypeStream2, dataset.AppendStream(nil, dataset.TypeStream2, stream), nil)
	stream = manyEntries(30_000)
	stream.Groups[1].Consumers[0].Pending[1].Ms = 77
	add("pending entry", "does not fit its own encoding", false, dataset.TypeStream2, dataset.AppendStream(nil, dataset.TypeStream2, stream), nil)
	members := manyMembers(30_000)
	members[20_000].Score = nan()
	add("score", "does not fit its own encoding", false, dataset.TypeZset2, dataset.AppendZset2(nil, members), nil)
	twice := manyTexts("member", 30_000)
	twice[29_000] = twice[3]
	add("member twice", "of its 30000 elements only 29999 differ", false, dataset.TypeSet, dataset.AppendStrings(nil, twice), nil)
	pairs := manyTexts("field", 60_000)
	pairs[50_000] = pairs[0]
	add("field twice", "of its 30000 elements only 29999 differ", false, dataset.TypeHash, dataset.AppendHash(nil, pairs), nil)
	members = manyMembers(30_000)
	members[20_000].Name = members[7].Name
	add("scored member twice", "of its 30000 elements only 29999 differ", false, dataset.TypeZset2, dataset.AppendZset2(nil, members), nil)
	// The frame is not sound either.
	add("length of an element", "", true, dataset.TypeSet, pieceKinds[2].value(30_000), func(dump []byte, from int) []byte {
		i := bytes.Index(dump, []byte("member number 20000"))
		dump[i-1] = 0xc5 // no form of a string
		return dump
	})
	return all
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}

// TestBigBadInput imports dumps that are cut or damaged within a large value, from
// a file and from a pipe: the key stays as it was, no temporary key is left, and
// the error names key and offset. With SkipDamaged what is behind it arrives.
func TestBigBadInput(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	n := lc.Nodes()[0]
	dir := t.TempDir()
	for i, bad := range badDumps(t) {
		for _, pipe := range []bool{false, true} {
			for _, skip := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, pipe %v, skip %v", bad.name, pipe, skip), func(t *testing.T) {
					flush(t, lc)
					opts := pieces([]pipeline.Conflict{pipeline.ConflictFail, pipeline.ConflictReplace}[i%2])
					opts.SkipDamaged = skip
					if opts.Conflict == pipeline.ConflictReplace {
						must(t, n, "SET", "large", "is there")
					}
					scan := rdbparse.Options{MaxValue: opts.HeldValue(), Again: bytes.NewReader(bad.dump)}
					if pipe {
						scan.Again = nil
						scan.Spool = func() (rdbparse.Spool, error) { return source.NewKeep(dir) }
					}
					im, err := pipeline.New(t.Context(), connect(t, lc.URL()), opts)
					noError(t, err)
					sc := rdbparse.NewScanner(bytes.NewReader(bad.dump), scan)
					ferr := im.NewFeeder().Feed(sc)
					noError(t, sc.Close())
					res, err := im.Close()
					if sum := res.Restored + res.Failed + res.Unsettled; sum != res.Read || res.Unsettled != 0 {
						t.Errorf("%+v", res)
					}
					noTemporary(t, lc)
					if got, _ := n.Client().Get(t.Context(), "large").Result(); (got == "is there") != (opts.Conflict == pipeline.ConflictReplace) {
						t.Errorf("the key is %.100q", got)
					}
					behind := n.Client().Exists(t.Context(), "behind").Val()
					var format *rdbparse.FormatError
					var damage *pipeline.DamagedError
					switch {
					case bad.cut:
						if !errors.As(ferr, &format) || !strings.Contains(ferr.Error(), `"large"`) || format.Offset < bad.offset || behind != 0 || res.Restored != 1 {
							t.Errorf("%v, %v, %+v", ferr, err, res)
						}
					case skip:
						if ferr != nil || err != nil || behind != 1 || res.Restored != 2 || res.Failed != 1 || !strings.Contains(fmt.Sprint(res.Errors), "damaged value") {
							t.Errorf("%v, %v, %+v", ferr, err, res)
						}
					case !errors.As(ferr, &damage) || string(damage.Key) != "large" || damage.Offset != bad.offset || !strings.Contains(ferr.Error(), bad.what) ||
						!errors.Is(err, damage) || pipe && behind != 0 || res.Restored != 1+behind || res.Failed != 1: // of a file it reads on meanwhile
						t.Errorf("%v, %v, %+v", ferr, err, res)
					}
				})
			}
		}
	}
}
