package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
)

func fixedSummary() *summary {
	return &summary{
		Result: pipeline.Result{
			Read: 1_000_000, Restored: 900_000, Existing: 50_000, Expired: 30_000, Filtered: 10_000, Failed: 10_000,
			Functions: 1, Retries: 3, Bytes: 282_000_000,
			Masters: []pipeline.MasterResult{
				{Addr: "10.0.0.1:7001", ID: "aa", Keys: 333_412, Bytes: 94_100_000},
				{Addr: "10.0.0.12:17001", ID: "bb", Keys: 566_588, Bytes: 187_900_000},
			},
			Errors: []pipeline.ErrorCount{{Reason: "ERR Bad data format", Count: 9_999, Example: "k\xff"}, {Reason: "NOPERM", Count: 1, Example: "b"}},
		},
		bytesRead: 276_000_000, duration: 4 * time.Second, source: 160 * time.Millisecond, masters: 2840 * time.Millisecond,
		checksum: rdbparse.ChecksumOK, behind: 2,
		sources: []sourceResult{
			{"a.rdb", 990_000, 270_000_000, 3900 * time.Millisecond, rdbparse.ChecksumOK},
			{"-", 10_000, 6_000_000, 100 * time.Millisecond, rdbparse.ChecksumPending},
		},
	}
}

func TestSummaryTable(t *testing.T) {
	var b strings.Builder
	fixedSummary().write(&b)
	want := `master              keys     MB   keys/s
10.0.0.1:7001    333,412   94.1   83,353
10.0.0.12:17001  566,588  187.9  141,647
all              900,000  282.0  225,000

source             keys     MB  seconds   checksum
a.rdb           990,000  270.0     3.90         ok
standard input   10,000    6.0     0.10  unchecked

keys read             1,000,000
  restored            900,000
  existing            50,000
  expired, not sent   30,000
  filtered out        10,000
  refused             10,000
functions loaded      1
retries               3
duration              4.00 s, 250,000 keys/s, 69.0 MB/s
checksum              ok
limited by            masters 71 % (scan 25 %, source 4 %)

       refused because
9,999  ERR Bad data format (for example key "k\xff")
    1  NOPERM (for example key b)
    2  writing command behind the dump: not applied
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestSummaryJSON(t *testing.T) {
	s := fixedSummary()
	s.err, s.code = errors.New(`stopped at "k"`), 2
	var b bytes.Buffer
	writeJSON(&b, s)
	want := `{"keys_read":1000000,"keys_restored":900000,"keys_existing":50000,"keys_expired":30000,"keys_filtered":10000,"keys_failed":10000,"keys_unsettled":0,"keys_big":0,"keys_before":0,"keys_evicted":0,` +
		`"bytes_read":276000000,"duration_seconds":4,"retries":3,"redirects":0,"reconnects":0,"failovers":0,"paced":0,"peak_memory_bytes":0,"connections":0,"limited_by":{"name":"masters","share":0.71},` +
		`"functions_loaded":1,"scripts_loaded":0,"module_aux_skipped":0,"checksum":"ok",` +
		`"sources":[{"name":"a.rdb","keys_read":990000,"bytes_read":270000000,"checksum":"ok","duration_seconds":3.9},` +
		`{"name":"-","keys_read":10000,"bytes_read":6000000,"checksum":"unchecked","duration_seconds":0.1}],"masters":[{"addr":"10.0.0.1:7001","id":"aa","keys":333412,"bytes":94100000},` +
		`{"addr":"10.0.0.12:17001","id":"bb","keys":566588,"bytes":187900000}],"errors":[{"reason":"ERR Bad data format","count":9999,"example_key":"\"k\\xff\""},` +
		`{"reason":"NOPERM","count":1,"example_key":"b"},{"reason":"writing command behind the dump: not applied","count":2}],"losses":[],` +
		`"error":"stopped at \"k\"","exit_code":2}` + "\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	if !json.Valid(b.Bytes()) {
		t.Error("it is no JSON")
	}
}

// TestPartsAddUp: the shares are never negative and are 1 together, whatever the clocks said.
func TestPartsAddUp(t *testing.T) {
	for _, c := range []struct{ source, masters, limit, all time.Duration }{
		{0, 0, 0, 1}, {5, 5, 0, 10}, {9, 9, 0, 10}, {50, 1, 0, 10}, {1, 50, 0, 10}, {3, 2, 0, 10}, {3, 2, 4, 10}, {9, 9, 9, 10}, {0, 1, 50, 10},
	} {
		s := &summary{source: c.source, masters: c.masters, limit: c.limit, duration: c.all}
		sum := 0.0
		for i, p := range s.parts() {
			sum += p.share
			if p.share < 0 || i > 0 && p.share > s.parts()[i-1].share {
				t.Errorf("%+v: %+v", c, s.parts())
			}
		}
		if sum < 0.999 || sum > 1.001 {
			t.Errorf("%+v: sum %v", c, sum)
		}
	}
	if got := (&summary{}).parts(); got != nil {
		t.Errorf("parts of no time: %v", got)
	}
}

// TestWorstChecksumCounts: of several dumps the one that is known least is told.
func TestWorstChecksumCounts(t *testing.T) {
	for _, c := range []struct {
		of   []rdbparse.Checksum
		want rdbparse.Checksum
	}{
		{nil, rdbparse.ChecksumPending},
		{[]rdbparse.Checksum{rdbparse.ChecksumOK}, rdbparse.ChecksumOK},
		{[]rdbparse.Checksum{rdbparse.ChecksumOK, rdbparse.ChecksumOff, rdbparse.ChecksumOK}, rdbparse.ChecksumOff},
		{[]rdbparse.Checksum{rdbparse.ChecksumOff, rdbparse.ChecksumWrong}, rdbparse.ChecksumWrong},
		{[]rdbparse.Checksum{rdbparse.ChecksumOK, rdbparse.ChecksumPending}, rdbparse.ChecksumPending},
	} {
		s := &summary{}
		for _, x := range c.of {
			s.noteChecksum(x)
		}
		if s.checksum != c.want {
			t.Errorf("%v: %v, want %v", c.of, s.checksum, c.want)
		}
	}
}

// TestSummaryOfLosses: what masters may have lost, in this run and those before,
// is told with how to repair it.
func TestSummaryOfLosses(t *testing.T) {
	s := &summary{Result: pipeline.Result{
		Read: 10, Restored: 10, Failovers: 1,
		Losses: []pipeline.Loss{{Addr: "h:1", Slots: "0-5460", Keys: 1200, Reason: "its replica has taken over"}},
	}}
	s.before = earlier{Keys: 77, Losses: []pipeline.Loss{{Addr: "h:2", Keys: 34, Reason: "the server was restarted"}}}
	if !s.incomplete() {
		t.Fatal("it is not incomplete")
	}
	s.err = s.partly()
	if want := "finished, but the target may have lost keys again (keys that may be lost: 1,234)"; s.err.Error() != want {
		t.Errorf("error %q, want %q", s.err, want)
	}
	if code, hint := exitCode(s.err), hintFor(s.err); code != exitRefused || !strings.Contains(hint, "run the same import again with --on-conflict skip") {
		t.Errorf("exit code %d, hint %q", code, hint)
	}
	s.replaces = true
	if err := s.partly(); err.Error() != s.err.Error() || exitCode(err) != exitRefused || !strings.Contains(hintFor(err), "with --on-conflict replace as before") {
		t.Errorf("%v, hint %q", err, hintFor(err))
	}
	s.replaces = false
	var text, object bytes.Buffer
	s.write(&text)
	for _, want := range []string{
		"settled before        77\n", "failovers             1\n", "       may be lost, at the most\n",
		"   34  accepted by h:2: the server was restarted\n", "1,200  accepted by h:1 of slots 0-5460: its replica has taken over\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &text)
		}
	}
	writeJSON(&object, s)
	for _, want := range []string{
		`"keys_before":77,"keys_evicted":0,`, `"failovers":1,`,
		`"losses":[{"addr":"h:2","keys":34,"reason":"the server was restarted"},{"addr":"h:1","slots":"0-5460","keys":1200,"reason":"its replica has taken over"}]`,
	} {
		if !strings.Contains(object.String(), want) {
			t.Errorf("the object lacks %s:\n%s", want, &object)
		}
	}

	s = &summary{Result: pipeline.Result{Evicted: 5}}
	if err := s.partly(); !s.incomplete() || exitCode(err) != exitRefused || !strings.Contains(hintFor(err), "make room") {
		t.Errorf("evicted keys: %v", err)
	}
}

// TestLimitedByRoundTrip: where masters waited too, the summary says what helps.
func TestLimitedByRoundTrip(t *testing.T) {
	s := fixedSummary()
	s.Short = true
	var b strings.Builder
	s.write(&b)
	if want := "limited by            round trip 71 % (scan 25 %, source 4 %): more --memory keeps more in flight\n"; !strings.Contains(b.String(), want) {
		t.Errorf("%s\nis without %s", b.String(), want)
	}
	b.Reset()
	writeJSON(&b, s)
	if want := `"limited_by":{"name":"round trip","share":0.71}`; !strings.Contains(b.String(), want) {
		t.Errorf("%s\nis without %s", b.String(), want)
	}
}
