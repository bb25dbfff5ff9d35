package element

// keyed gives an element whose only string is its key.
func (r *Reader) keyed(kind Kind, key span) bool {
	if r.w.Err() != nil || r.err != nil {
		return false
	}
	r.el.Kind, r.el.Key = kind, r.take(key)
	return true
}

// nextGroup gives the next consumer group of a stream.
func (r *Reader) nextGroup() bool {
	st := &r.stream
	if st.groups == 0 {
		if hasIdempotence(r.t) {
			r.step = (*Reader).readIdempotent
			return false
		}
		return r.end()
	}
	st.groups--
	r.w.Mark()
	name := r.text()
	r.el.ID, r.el.Read = r.lenID(), 0
	if hasOffsets(r.t) {
		r.el.Read = r.w.Len()
	}
	st.pending = r.w.Len()
	r.step = (*Reader).nextPending
	return r.keyed(Group, name)
}

// nextPending gives the next entry that the group waits for.
func (r *Reader) nextPending() bool {
	st := &r.stream
	r.w.Unmark()
	if st.pending == 0 {
		st.consumers = r.w.Len()
		r.step = (*Reader).nextConsumer
		return false
	}
	st.pending--
	r.el.Kind, r.el.ID = Pending, r.rawID()
	r.el.Time, r.el.Count = int64(r.w.Uint64()), r.w.Len()
	return true
}

func (r *Reader) nextConsumer() bool {
	st := &r.stream
	if st.consumers == 0 {
		r.step = (*Reader).nextGroup
		if hasReturned(r.t) {
			st.owned = r.w.Len()
			r.step = (*Reader).nextReturned
		}
		return false
	}
	st.consumers--
	r.w.Mark()
	name := r.text()
	r.el.Time, r.el.Active = int64(r.w.Uint64()), -1
	if hasActiveTime(r.t) {
		r.el.Active = int64(r.w.Uint64())
	}
	st.owned = r.w.Len()
	r.step = (*Reader).nextOwned
	return r.keyed(Consumer, name)
}

// nextOwned gives the next entry that the consumer holds.
func (r *Reader) nextOwned() bool {
	return r.nextID(Owned, (*Reader).nextConsumer)
}

// nextReturned gives the next entry that a consumer has given back to the group.
func (r *Reader) nextReturned() bool {
	return r.nextID(Returned, (*Reader).nextGroup)
}

func (r *Reader) nextID(kind Kind, after func(*Reader) bool) bool {
	r.w.Unmark()
	if r.stream.owned == 0 {
		r.step = after
		return false
	}
	r.stream.owned--
	r.el.Kind, r.el.ID = kind, r.rawID()
	return true
}

// readIdempotent gives the limits of a stream's record of idempotent producers.
func (r *Reader) readIdempotent() bool {
	r.w.Unmark()
	r.el.Kind = Idempotent
	r.el.Time, r.el.Count = int64(r.w.Len()), r.w.Len()
	r.stream.producers = r.w.Len()
	r.step = (*Reader).nextProducer
	return true
}

func (r *Reader) nextProducer() bool {
	st := &r.stream
	if st.producers == 0 {
		r.el.Kind = Idempotency
		r.el.Time, r.el.Count = int64(r.w.Len()), r.w.Len()
		r.step = (*Reader).end
		return true
	}
	st.producers--
	r.w.Mark()
	name := r.text()
	st.produced = r.w.Len()
	r.step = (*Reader).nextProduced
	return r.keyed(Producer, name)
}

// nextProduced gives the next id that the producer has used.
func (r *Reader) nextProduced() bool {
	st := &r.stream
	if st.produced == 0 {
		r.step = (*Reader).nextProducer
		return false
	}
	st.produced--
	r.w.Mark()
	name := r.text()
	r.el.ID = r.lenID()
	return r.keyed(Produced, name)
}
