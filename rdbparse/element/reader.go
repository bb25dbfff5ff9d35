package element

import (
	"fmt"
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// A Reader gives the elements of one value in order, in the idiom of
// bufio.Scanner. Over a stream it holds one element at a time, or one blob where
// the encoding packs elements into blobs. It allocates nothing per element once
// its buffers have grown. One made with OfBig does not hold what is longer than it is
// told to.
type Reader struct {
	w    *window.Window
	from int64 // offset of the value in w
	t    rdbparse.Type
	step func(*Reader) bool // gives the next element; nil at the end
	el   Element
	err  error

	own   window.Window // over a value in memory
	whole bool          // the value must end where w does

	left    uint64 // elements, or blobs, still to come
	min     uint64 // earliest expiry of a field, which others are counted from
	items   Items
	backs   BackLengths // met in the blobs before
	hollow  bool        // a node of a list had no items
	blob    []byte      // decompressed blob
	scratch [2][]byte   // texts that do not stand in the dump as they are

	// Over a big value, see OfBig.
	big     *rdbparse.BigValue
	most    uint64 // bytes of a string that is held
	pending bool   // the long value of the element has not been read to its end
	behind  func(*Reader) bool
	plain   plainText // the long value, or what a blob is made of
	blobs   blobStream

	names  []byte // field names of a hash template, or the fields of a stream node
	ends   []int  // where each of them ends
	fields []byte // Value.Fields
	stream streamState
}

// NewReader returns a Reader of the value of type t that starts at w's cursor. At
// its end the cursor stands behind the value. The Reader uses w's mark.
func NewReader(w *window.Window, t *rdbparse.TypeInfo) *Reader {
	r := &Reader{}
	r.start(w, t)
	return r
}

// Open returns a Reader of a value in memory. Bytes behind its end are an error.
func Open(v Value) *Reader {
	r := &Reader{}
	r.Reset(v)
	return r
}

// maxScratch is the most bytes of a buffer that Reset keeps.
const maxScratch = 1 << 20

// Reset makes r a Reader of another value in memory, keeping its buffers.
func (r *Reader) Reset(v Value) {
	if cap(r.blob) > maxScratch {
		r.blob = nil
	}
	for i := range r.scratch {
		if cap(r.scratch[i]) > maxScratch {
			r.scratch[i] = nil
		}
	}
	r.own.Reset(v.Raw)
	r.start(&r.own, v.Type)
	r.fields, r.whole = v.Fields, true
}

func (r *Reader) start(w *window.Window, t *rdbparse.TypeInfo) {
	r.w, r.from, r.err, r.whole, r.fields = w, w.Offset(), nil, false, nil
	r.el, r.items, r.left, r.backs, r.hollow = Element{Pairs: r.el.Pairs[:0]}, Items{}, 0, 0, false
	r.names, r.ends = r.names[:0], r.ends[:0]
	r.big, r.most, r.pending, r.behind = nil, maxText, false, nil
	if t == nil {
		r.err = fmt.Errorf("%w: no type", ErrOpaque)
		return
	}
	r.t = t.Type
	if r.step = opening[t.Type]; r.step == nil {
		r.fail(fmt.Errorf("%w: %s", ErrOpaque, t.Name))
	}
}

// opening says how each type is opened: with the step that reads what stands
// before the first element.
var opening = map[rdbparse.Type]func(*Reader) bool{
	rdbparse.TypeString: (*Reader).readText,

	rdbparse.TypeList: (*Reader).openPlain,
	rdbparse.TypeSet:  (*Reader).openPlain,
	rdbparse.TypeHash: (*Reader).openPlain,
	rdbparse.TypeZSet: (*Reader).openPlain, rdbparse.TypeZSet2: (*Reader).openPlain,
	rdbparse.TypeHashMetadataPreGA: (*Reader).openPlain,
	rdbparse.TypeHashMetadata:      (*Reader).openPlain,
	rdbparse.TypeHash2:             (*Reader).openPlain,

	rdbparse.TypeHashZipmap:          (*Reader).openBlob,
	rdbparse.TypeListZiplist:         (*Reader).openBlob,
	rdbparse.TypeSetIntset:           (*Reader).openBlob,
	rdbparse.TypeZSetZiplist:         (*Reader).openBlob,
	rdbparse.TypeHashZiplist:         (*Reader).openBlob,
	rdbparse.TypeHashListpack:        (*Reader).openBlob,
	rdbparse.TypeZSetListpack:        (*Reader).openBlob,
	rdbparse.TypeSetListpack:         (*Reader).openBlob,
	rdbparse.TypeHashListpackExPreGA: (*Reader).openBlob,
	rdbparse.TypeHashListpackEx:      (*Reader).openBlob,

	rdbparse.TypeListQuicklist:  (*Reader).openQuicklist,
	rdbparse.TypeListQuicklist2: (*Reader).openQuicklist,

	rdbparse.TypeStreamListpacks:  (*Reader).openStream,
	rdbparse.TypeStreamListpacks2: (*Reader).openStream,
	rdbparse.TypeStreamListpacks3: (*Reader).openStream,
	rdbparse.TypeStreamListpacks4: (*Reader).openStream,
	rdbparse.TypeStreamListpacks5: (*Reader).openStream,

	rdbparse.TypeArray: (*Reader).openArray,

	rdbparse.TypeHashTmplLP:       (*Reader).openTmpl,
	rdbparse.TypeHashTmplLPRef:    (*Reader).openTmplRef,
	rdbparse.TypeHashTmplArray:    (*Reader).openTmpl,
	rdbparse.TypeHashTmplArrayRef: (*Reader).openTmplRef,
}

// CanOpen reports whether a Reader knows what is inside values of the type.
func CanOpen(t *rdbparse.TypeInfo) bool { return t != nil && opening[t.Type] != nil }

// Element returns the element that the last call of Next has read.
func (r *Reader) Element() *Element { return &r.el }

// Err returns the error that ended the value early, an *Error, nil at its end. Of a
// big value it may also be that of BigValue.Rewind.
func (r *Reader) Err() error { return r.err }

// Next reads the next element and reports whether there was one.
func (r *Reader) Next() bool {
	if r.el.Long > 0 {
		r.passLong()
	}
	for r.err == nil && r.step != nil {
		found := r.step(r)
		if err := r.w.Err(); err != nil {
			r.fail(r.reason(err))
		}
		if r.err != nil {
			return false
		}
		if found {
			return true
		}
	}
	if r.err == nil && r.whole && len(r.w.Buffered()) > 0 {
		r.fail(fmt.Errorf("%w: %d bytes behind its end", ErrDamaged, len(r.w.Buffered())))
	}
	return false
}

// end notes that the value is read.
func (r *Reader) end() bool {
	r.w.Unmark()
	r.step = nil
	if r.big != nil {
		r.big.EndsHere()
	}
	return false
}

// fail ends the reading with an error at the cursor.
func (r *Reader) fail(err error) bool {
	if r.err == nil {
		if r.big != nil && r.w.Broken() {
			err = r.reason(r.w.Err()) // and what could not be read looked damaged
		}
		r.err = &Error{Type: r.t, Offset: r.w.Offset() - r.from, Err: err}
		if r.big != nil {
			r.w.Fail(r.err) // nothing is read from where nothing is known
		}
	}
	return false
}

// reason makes an error of the window one of this package's, or, where a big value
// cannot be read, one of the dump's.
func (r *Reader) reason(err error) error {
	if r.big != nil && r.w.Broken() {
		return rdbparse.Reason(err)
	}
	return reason(err)
}

func (r *Reader) damaged(format string, args ...any) bool {
	return r.fail(fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...))
}

// readText gives the only element of a string.
func (r *Reader) readText() bool {
	r.w.Mark()
	s := r.value(0)
	if r.w.Err() != nil || r.err != nil {
		return false
	}
	r.el.Kind, r.el.Value = Text, r.takeValue(s)
	r.w.Unmark()
	r.step = (*Reader).end
	return true
}

// itemText returns the current item of the blob as text; slot is where an
// integer is written out.
func (r *Reader) itemText(slot int) []byte {
	if n, ok := r.items.Int(); ok {
		r.scratch[slot] = strconv.AppendInt(r.scratch[slot][:0], n, 10)
		return r.scratch[slot]
	}
	if r.items.src != nil {
		return r.itemCopy(slot)
	}
	return r.items.Text()
}

// itemCopy is itemText where the next item may take the place of this one.
func (r *Reader) itemCopy(slot int) []byte {
	if r.items.long > 0 {
		r.tooLong(r.items.long)
		return nil
	}
	r.scratch[slot] = append(r.scratch[slot][:0], r.items.Text()...)
	return r.scratch[slot]
}

// itemValue is itemText for an item that may be long.
func (r *Reader) itemValue(slot int) []byte {
	if r.items.long > 0 {
		r.setLong(r.items.long)
		return nil
	}
	return r.itemText(slot)
}
