package pipeline

import (
	"context"
	"math/rand/v2"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/redis/go-redis/v9"
)

// A name is that of a key on the target.
type name struct {
	db  uint32
	key string
}

// named returns the name under which the entry that was decided on last would be sent.
func (p *Planner) named(e *rdbparse.Entry) name {
	return name{p.feeder.db, string(p.feeder.form.prefix) + string(e.Key)}
}

// mostSampled is how many of the keys that a master would get are looked for.
const mostSampled = 1000

// A sample is some of the keys that a master would get, each as likely as any other.
type sample struct {
	wanted bool
	met    int64
	keys   []sampledKey
}

type sampledKey struct {
	name
	size int64
}

// samples returns one sample for each master. It is wanted of those whose room may be
// short and where some of the keys may be already.
func (t *TargetFacts) samples() []sample {
	list := make([]sample, len(t.Masters))
	for i := range t.Masters {
		f := &t.Masters[i]
		list[i].wanted = f.Err == nil && f.Max > 0 && f.Keys > 0 && f.Expiry == AccessGranted
	}
	return list
}

// note offers a key to the sample.
func (s *sample) note(p *Planner, e *rdbparse.Entry, size int64) {
	if !s.wanted {
		return
	}
	s.met++
	if len(s.keys) < mostSampled {
		s.keys = append(s.keys, sampledKey{p.named(e), size})
	} else if i := rand.Int64N(s.met); i < mostSampled {
		s.keys[i] = sampledKey{p.named(e), size}
	}
}

// There is how many of the keys that a master would get it has already, by a sample of
// them. Nothing was asked where Asked is zero.
type There struct{ Asked, Found Sum }

// Missing returns how much of a number of bytes is not there yet.
func (t There) Missing(bytes int64) int64 {
	if t.Asked.Bytes == 0 {
		return bytes
	}
	return int64(float64(bytes) * float64(t.Asked.Bytes-t.Found.Bytes) / float64(t.Asked.Bytes))
}

// There looks for a sample of the keys on each master whose memory has a bound and
// that holds keys. What cannot be asked is left out.
func (p *Planner) There(ctx context.Context) []There {
	list := make([]There, len(p.samples))
	_ = p.target.Map.EachMaster(ctx, func(ctx context.Context, i int) error {
		s, f := &p.samples[i], &p.target.Masters[i]
		replies := p.target.each(ctx, f.Addr, len(s.keys), func(n int) (name, []any) {
			return s.keys[n].name, []any{f.ExpiryCommand, s.keys[n].key}
		})
		for n, r := range replies {
			ttl, err := r.Int64()
			if err != nil {
				continue
			}
			list[i].Asked.add(s.keys[n].size)
			if ttl != noSuchKey {
				list[i].Found.add(s.keys[n].size)
			}
		}
		return nil
	})
	return list
}

// noSuchKey is the expiry of a key that is not there.
const noSuchKey = -2

// each gives a master n commands, each in the database of a key, all those of one
// database at once, and returns what it replies.
func (t *TargetFacts) each(ctx context.Context, addr string, n int, command func(i int) (name, []any)) []*redis.Cmd {
	replies := make([]*redis.Cmd, n)
	pipes := make(map[uint32]redis.Pipeliner)
	for i := range replies {
		of, words := command(i)
		if pipes[of.db] == nil {
			pipes[of.db] = t.im.cluster.ClientDB(addr, int(of.db)).Pipeline()
		}
		replies[i] = pipes[of.db].Do(ctx, words...)
	}
	for _, pipe := range pipes {
		_, _ = pipe.Exec(ctx) // the errors are in the replies, too
	}
	return replies
}
