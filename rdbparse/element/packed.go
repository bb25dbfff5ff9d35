package element

import (
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// blobForm returns the form of the blob, or blobs, that a type keeps its elements
// in.
func blobForm(t rdbparse.Type) form {
	switch t {
	case rdbparse.TypeHashZipmap:
		return formZipmap
	case rdbparse.TypeSetIntset:
		return formIntset
	case rdbparse.TypeListZiplist, rdbparse.TypeZSetZiplist, rdbparse.TypeHashZiplist, rdbparse.TypeListQuicklist:
		return formZiplist
	}
	return formListpack
}

// nextBlob sets the reader on the items of the blob at the cursor.
func (r *Reader) nextBlob(f form) {
	r.backs |= r.items.backs
	h := r.w.String()
	switch {
	case r.w.Err() != nil:
		return
	case h.Size > maxText || h.Plain > maxText:
		r.w.Fail(window.ErrTooBig)
		return
	case h.Form != window.Raw && h.Form != window.LZF:
		r.damaged("a number in place of a blob")
		return
	case h.Plain > r.most && r.big != nil:
		r.streamBlob(f, h)
		return
	case h.Size > r.most && !r.fits(h):
		return
	}
	b := r.readBlob(h)
	if r.w.Err() != nil || r.err != nil {
		return
	}
	switch f {
	case formZipmap:
		r.items = Zipmap(b)
	case formIntset:
		r.items = Intset(b)
	case formZiplist:
		r.items = Ziplist(b)
	default:
		r.items = Listpack(b)
	}
}

// openBlob opens an encoding that is one blob.
func (r *Reader) openBlob() bool {
	if r.t == rdbparse.TypeHashListpackEx {
		r.w.Uint64() // the earliest expiry: a hint, those in the blob are absolute
	}
	r.nextBlob(blobForm(r.t))
	r.step = (*Reader).readItem
	return false
}

// readItem gives the element at the blob's cursor.
func (r *Reader) readItem() bool {
	if !r.items.Next() {
		return r.itemsEnd()
	}
	el := &r.el
	switch r.t {
	case rdbparse.TypeListZiplist:
		el.Kind, el.Key, el.Value = ListItem, nil, r.itemValue(0)
	case rdbparse.TypeSetIntset, rdbparse.TypeSetListpack:
		el.Kind, el.Key, el.Value = Member, r.itemText(0), nil
	case rdbparse.TypeZSetZiplist, rdbparse.TypeZSetListpack:
		el.Kind, el.Key, el.Value = Scored, r.itemText(0), nil
		if !r.partner() {
			return false
		}
		if n, ok := r.items.Int(); ok {
			el.Score = float64(n)
		} else {
			el.Score = r.parseScore(r.scoreText())
		}
	default:
		el.Kind, el.Key, el.ExpireAt = Field, r.itemText(0), 0
		if !r.partner() {
			return false
		}
		el.Value = r.itemValue(1)
		if r.t != rdbparse.TypeHashListpackEx && r.t != rdbparse.TypeHashListpackExPreGA {
			break
		}
		if el.Long > 0 {
			r.behind = (*Reader).itemExpiry
			break
		}
		return r.itemExpiry()
	}
	return r.err == nil
}

// scoreText returns the current item, which is the text of a score.
func (r *Reader) scoreText() []byte {
	text := r.items.Text()
	if r.items.long > maxScoreText {
		r.damaged("score of %d characters", r.items.long)
	} else if r.items.long > 0 {
		text = r.scratch[1][:0]
		r.items.parts(func(p []byte) error {
			text = append(text, p...)
			return nil
		})
		r.scratch[1] = text
		r.failItems()
	}
	return text
}

// itemsEnd ends the value if the blob has ended as it should.
func (r *Reader) itemsEnd() bool {
	if err := r.items.Err(); err != nil {
		return r.fail(err)
	}
	return r.end()
}

// partner moves to an item that must follow the one before.
func (r *Reader) partner() bool {
	if r.items.Next() {
		return true
	}
	if err := r.items.Err(); err != nil {
		return r.fail(err)
	}
	return r.damaged("the last element is not complete")
}

// itemExpiry reads the third part of a field that may expire: an absolute time,
// 0 for none.
func (r *Reader) itemExpiry() bool {
	if !r.partner() {
		return false
	}
	at, ok := r.items.Int()
	if !ok || at < 0 || at > maxExpiry {
		return r.damaged("impossible expiry of a field")
	}
	r.el.ExpireAt = at
	return true
}

// Containers of a quicklist's nodes.
const (
	quicklistPlain  = 1 // one element, too big for a listpack
	quicklistPacked = 2
)

// openQuicklist opens a list that is a row of blobs.
func (r *Reader) openQuicklist() bool {
	r.left = r.w.Len()
	r.step = (*Reader).nextNode
	return false
}

// nextNode reads the next node of a quicklist.
func (r *Reader) nextNode() bool {
	if r.left == 0 {
		return r.end()
	}
	r.left--
	if r.t == rdbparse.TypeListQuicklist2 {
		switch container := r.w.Len(); {
		case r.w.Err() != nil:
			return false
		case container == quicklistPlain:
			r.w.Mark()
			s := r.value(0)
			return r.plainElement(ListItem, s, s)
		case container != quicklistPacked:
			return r.damaged("%d is no container of a list node", container)
		}
	}
	r.w.Unmark()
	r.nextBlob(blobForm(r.t))
	r.step = (*Reader).readNode
	return false
}

// readNode gives the next item of the node.
func (r *Reader) readNode() bool {
	if !r.items.Next() {
		r.step = (*Reader).nextNode
		if err := r.items.Err(); err != nil {
			return r.fail(err)
		}
		r.hollow = r.hollow || r.items.seen == 0
		return false
	}
	r.el.Kind, r.el.Key, r.el.Value = ListItem, nil, r.itemValue(0)
	return true
}
