package element

import (
	"bytes"
	"math"
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// openPlain reads what stands before the elements of an encoding that stores
// them one by one.
func (r *Reader) openPlain() bool {
	if r.t == rdbparse.TypeHashMetadata {
		r.min = r.w.Uint64()
	}
	r.left = r.w.Len()
	r.step = (*Reader).readPlain
	return false
}

func (r *Reader) readPlain() bool {
	if r.left == 0 {
		return r.end()
	}
	r.left--
	w := r.w
	w.Mark()
	el := &r.el
	switch r.t {
	case rdbparse.TypeList:
		s := r.value(0)
		return r.plainElement(ListItem, s, s)
	case rdbparse.TypeSet:
		s := r.text()
		return r.plainElement(Member, s, s)
	case rdbparse.TypeHash:
		key := r.text()
		el.ExpireAt = 0
		return r.plainElement(Field, key, r.value(1))
	case rdbparse.TypeZSet:
		s := r.text()
		el.Score = r.oldScore()
		return r.plainElement(Scored, s, s)
	case rdbparse.TypeZSet2:
		s := r.text()
		el.Score = r.checked(math.Float64frombits(w.Uint64()))
		return r.plainElement(Scored, s, s)
	case rdbparse.TypeHash2:
		key, value := r.text(), r.value(1)
		if el.ExpireAt = 0; r.pending {
			r.behind = (*Reader).readValkeyExpiry
		} else {
			r.readValkeyExpiry()
		}
		return r.plainElement(Field, key, value)
	default: // Redis's with expiry
		ttl := w.Len()
		el.ExpireAt = r.redisExpiry(ttl)
		key := r.text()
		return r.plainElement(Field, key, r.value(1))
	}
}

// plainElement fills the element with the strings read.
func (r *Reader) plainElement(kind Kind, key, value span) bool {
	if r.w.Err() != nil || r.err != nil {
		return false
	}
	r.el.Kind = kind
	r.el.Key, r.el.Value = nil, nil
	if r.pending {
		if k := r.letGo(key); kind == Field {
			r.el.Key = k
		}
		return true
	}
	if kind != ListItem {
		r.el.Key = r.take(key)
	}
	if kind == ListItem || kind == Field {
		r.el.Value = r.take(value)
	}
	return true
}

// redisExpiry makes the number before a field an absolute time: type 22 of the
// release candidates of Redis 7.4 stores that, type 24 the distance from the
// earliest plus one.
func (r *Reader) redisExpiry(ttl uint64) int64 {
	at := ttl
	if r.t == rdbparse.TypeHashMetadata && ttl != 0 {
		at = r.min + ttl - 1
		if at < r.min {
			at = math.MaxUint64
		}
		at = max(at, 1) // 0 would mean none
	}
	if at > maxExpiry {
		r.damaged("impossible expiry of a field")
		return 0
	}
	return int64(at)
}

// maxExpiry bounds the expiry of a field: Redis keeps 48 bits of it.
const maxExpiry = 1<<48 - 1

// readValkeyExpiry reads what stands behind the value of a field.
func (r *Reader) readValkeyExpiry() bool {
	r.el.ExpireAt = r.valkeyExpiry(int64(r.w.Uint64()))
	return r.err == nil
}

// valkeyExpiry makes -1 the 0 that means none here. A true 0 becomes 1: both are
// long past.
func (r *Reader) valkeyExpiry(at int64) int64 {
	switch {
	case at == -1:
		return 0
	case at < 0:
		r.damaged("impossible expiry of a field")
	}
	return max(at, 1)
}

// Lengths of a score of the oldest encoding that are no lengths.
const (
	scoreNaN    = 253
	scoreInf    = 254
	scoreNegInf = 255
)

// oldScore reads a score as text.
func (r *Reader) oldScore() float64 {
	switch n := r.w.Byte(); n {
	case scoreNaN:
		return r.checked(math.NaN())
	case scoreInf:
		return math.Inf(1)
	case scoreNegInf:
		return math.Inf(-1)
	default:
		return r.parseScore(r.w.Bytes(int(n)))
	}
}

// maxScoreText is the longest text of a score that servers read.
const maxScoreText = 127

// parseScore makes a number of the text of a score, exactly.
func (r *Reader) parseScore(text []byte) float64 {
	if r.w.Err() != nil {
		return 0
	}
	if len(text) > maxScoreText {
		r.damaged("score of %d characters", len(text))
		return 0
	}
	score, err := strconv.ParseFloat(string(text), 64)
	if err != nil || bytes.IndexByte(text, '_') >= 0 { // Go reads 1_000, servers do not
		r.damaged("score %q", text)
		return 0
	}
	return r.checked(score)
}

// checked refuses NaN, as the servers do.
func (r *Reader) checked(score float64) float64 {
	if score != score {
		r.damaged("a score that is not a number")
	}
	return score
}
