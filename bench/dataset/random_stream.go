package dataset

import "strconv"

// RandomStream returns a stream of n entries, at least one of them live, in nodes of up to nine: entries with the field names of their node's
// first one and with others, deleted ones, ids that jump; groups without consumers, consumers without entries, pending entries, pending entries
// that have since been deleted.
func RandomStream(r *Rand, n int) *Stream {
	n = max(n, 1)
	entries := make([]StreamEntry, n)
	id := StreamID{Ms: 1_600_000_000_000 + uint64(r.Intn(1<<30)), Seq: uint64(r.Intn(3))}
	names := randomPairs(r, r.Between(1, 4))
	for i := range entries {
		fields := names
		switch r.Intn(5) {
		case 0:
			fields = randomPairs(r, r.Between(1, 5))
		case 1: // the same as before, value for value
		default:
			fields = make([][]byte, len(names))
			for j := range fields {
				if fields[j] = names[j]; j%2 == 1 {
					fields[j] = randomElem(r)
				}
			}
		}
		entries[i] = StreamEntry{ID: id, Fields: fields, Deleted: i > 0 && r.Chance(15)}
		if r.Chance(30) {
			id.Seq += uint64(r.Between(1, 3))
		} else {
			id = StreamID{Ms: id.Ms + uint64(r.Between(1, 100_000)), Seq: uint64(r.Intn(2))}
		}
	}
	s := NewStream(entries, r.Between(1, 9))
	for g := range r.Intn(4) {
		s.Groups = append(s.Groups, randomGroup(r, "group-"+strconv.Itoa(g), entries))
	}
	return s
}

// randomGroup has read up to some entry; a third of the entries before it are pending, shared out among the consumers.
func randomGroup(r *Rand, name string, entries []StreamEntry) Group {
	read := r.Intn(len(entries) + 1)
	g := Group{Name: name, EntriesRead: uint64(read)}
	if r.Chance(30) {
		g.EntriesRead = ^uint64(0)
	}
	if read > 0 {
		g.LastID = entries[read-1].ID
	}
	for c := range r.Intn(4) {
		active := 1_700_000_000_000 - int64(c)
		if c == 2 {
			active = -1 // never
		}
		g.Consumers = append(g.Consumers, Consumer{Name: "consumer-" + strconv.Itoa(c), SeenMs: 1_700_000_000_000 + int64(c), ActiveMs: active})
	}
	if len(g.Consumers) == 0 {
		return g
	}
	for _, e := range entries[:read] {
		if !r.Chance(33) {
			continue
		}
		g.Pending = append(g.Pending, Pending{ID: e.ID, DeliveredMs: 1_650_000_000_000 + int64(r.Intn(1<<20)), Count: uint64(r.Between(1, 300))})
		owner := &g.Consumers[r.Intn(len(g.Consumers))]
		owner.Pending = append(owner.Pending, e.ID)
	}
	return g
}
