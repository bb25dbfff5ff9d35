package element

import (
	"math"
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// Forms of the field names of a hash with a template.
const (
	namesPacked = 0 // one listpack
	namesPlain  = 1 // a count and that many strings
)

// openTmpl opens a hash of Redis 8.10 that carries its field names.
func (r *Reader) openTmpl() bool {
	switch form := r.w.Len(); {
	case r.w.Err() != nil:
		return false
	case form == namesPacked:
		r.nextBlob(formListpack)
		if r.w.Err() != nil || r.err != nil {
			return false
		}
		for r.err == nil && r.items.Next() {
			r.itemName()
		}
		if r.failItems(); r.err != nil {
			return false
		}
	case form == namesPlain:
		for n := r.w.Len(); n > 0 && r.w.Err() == nil && r.err == nil; n-- {
			r.plainName()
		}
	default:
		return r.damaged("%d is no form of field names", form)
	}
	return r.openTmplValues()
}

// openTmplRef opens a hash whose field names stand in a record of the dump.
func (r *Reader) openTmplRef() bool {
	if len(r.fields) == 0 {
		return r.fail(ErrTemplate)
	}
	w := r.w
	r.w = window.Of(r.fields)
	for len(r.w.Buffered()) > 0 && r.w.Err() == nil && r.err == nil {
		r.plainName()
	}
	err := r.w.Err()
	if r.w = w; err != nil {
		return r.fail(reason(err))
	}
	if r.err != nil {
		return false
	}
	if r.t == rdbparse.TypeHashTmplArrayRef {
		r.w.Len() // id of the template
	}
	return r.openTmplValues()
}

// plainName reads a field name.
func (r *Reader) plainName() {
	r.w.Mark()
	s := r.text()
	if r.w.Err() != nil || r.err != nil {
		return
	}
	r.names = append(r.names, r.take(s)...)
	r.endName()
	r.w.Unmark()
}

// itemName adds the current item to the names.
func (r *Reader) itemName() {
	if r.items.long > 0 {
		r.tooLong(r.items.long)
		return
	}
	r.names = r.items.Append(r.names)
	r.endName()
}

// endName ends the last of the names.
func (r *Reader) endName() {
	r.ends = append(r.ends, len(r.names))
	if r.big != nil && uint64(len(r.names)+8*len(r.ends)) > max(r.most, maxNames) {
		r.tooLong(int64(len(r.names)))
	}
}

// maxNames is what the names may take at least: so much the Scanner takes for a
// template.
const maxNames = 2 << 20

func (r *Reader) openTmplValues() bool {
	r.left = uint64(len(r.ends))
	if r.t == rdbparse.TypeHashTmplArray || r.t == rdbparse.TypeHashTmplArrayRef {
		r.step = (*Reader).readTmplValue
		return false
	}
	r.nextBlob(formListpack)
	if r.w.Err() != nil || r.err != nil {
		return false
	}
	r.itemInt() // id of the template
	r.step = (*Reader).readTmplItem
	return false
}

// tmplField makes the element of the next field name.
func (r *Reader) tmplField(value []byte) bool {
	r.el.Kind, r.el.Key, r.el.ExpireAt = Field, r.name(len(r.ends)-int(r.left)), 0
	r.el.Value = value
	r.left--
	return true
}

func (r *Reader) readTmplValue() bool {
	if r.left == 0 {
		return r.end()
	}
	r.w.Mark()
	s := r.value(1)
	if r.w.Err() != nil || r.err != nil {
		return false
	}
	if r.pending {
		r.w.Unmark()
	}
	return r.tmplField(r.takeValue(s))
}

func (r *Reader) readTmplItem() bool {
	if !r.items.Next() {
		if r.items.Err() == nil && r.left > 0 {
			return r.damaged("fewer values than field names")
		}
		return r.itemsEnd()
	}
	if r.left == 0 {
		return r.damaged("more values than field names")
	}
	return r.tmplField(r.itemValue(1)) && r.err == nil
}

// Tags of the values of an array.
const (
	arrayText  = 0
	arrayInt   = 1
	arrayFloat = 2
	arrayText2 = 3
)

// openArray reads what stands before the elements of a sparse array of Redis 8.8.
func (r *Reader) openArray() bool {
	r.left = r.w.Len()
	if r.w.Len() != 0 {
		r.w.Len() // the cursor
	}
	r.step = (*Reader).readSlot
	return false
}

// readSlot gives the next element of an array. A number becomes text: a float
// its shortest form.
func (r *Reader) readSlot() bool {
	if r.left == 0 {
		return r.end()
	}
	r.left--
	w, el := r.w, &r.el
	w.Unmark()
	el.Kind, el.Index, el.Key = Slot, w.Len(), nil
	switch tag := w.Len(); tag {
	case arrayText, arrayText2:
		w.Mark()
		s := r.value(0)
		if w.Err() != nil || r.err != nil {
			return false
		}
		if el.Value = r.takeValue(s); r.pending {
			w.Unmark()
		}
	case arrayInt:
		r.scratch[0] = strconv.AppendInt(r.scratch[0][:0], int64(w.Uint64()), 10)
		el.Value = r.scratch[0]
	case arrayFloat:
		r.scratch[0] = strconv.AppendFloat(r.scratch[0][:0], math.Float64frombits(w.Uint64()), 'g', -1, 64)
		el.Value = r.scratch[0]
	default:
		return r.damaged("%d is no tag of an array element", tag)
	}
	return true
}
