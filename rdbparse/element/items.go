package element

import (
	"fmt"
	"strconv"
)

// form is the layout of a blob.
type form uint8

const (
	formListpack form = iota
	formZiplist
	formIntset
	formZipmap
)

var formNames = [...]string{"listpack", "ziplist", "intset", "zipmap"}

// Items walks the elements of a blob: a listpack, ziplist, intset or zipmap (the
// last gives field and value in turn). It checks what the servers' own deep
// checks do, so that it neither reads outside the blob nor accepts one whose
// parts contradict each other. It allocates nothing, unless to report an error.
//
//	it := element.Listpack(blob)
//	for it.Next() {
//		...
//	}
//	if err := it.Err(); err != nil {
type Items struct {
	b     []byte
	i     int // of the next element
	end   int // of the elements: where the end mark stands
	form  form
	count int // elements promised by the header, -1 if it does not say
	seen  int
	width int // intset: bytes of a member; ziplist: bytes of the previous element

	size  int         // listpack: bytes of the element without its back length
	backs BackLengths // listpack: kinds of back length met
	tail  int64       // ziplist: offset of the last element, as the header has it
	text  []byte
	num   int64
	isInt bool
	err   error

	src  *blobStream // a blob that is not held; nil for one in memory
	long int64       // bytes of a text that is not held, which comes next in src
}

// endMark is the last byte of all blobs but an intset.
const endMark = 0xff

// unknownCount in the header of a listpack or ziplist means that there are too
// many elements for its 16 bits.
const unknownCount = 65535

// Text returns the element if it is stored as text, a slice of the blob, else nil.
func (it *Items) Text() []byte { return it.text }

// Int returns the element if it is stored as an integer.
func (it *Items) Int() (n int64, ok bool) { return it.num, it.isInt }

// Append appends the element to dst as the text that a client would see.
func (it *Items) Append(dst []byte) []byte {
	if it.isInt {
		return strconv.AppendInt(dst, it.num, 10)
	}
	return append(dst, it.text...)
}

// Err returns the error that ended the walk early. It wraps ErrDamaged.
func (it *Items) Err() error { return it.err }

// Next moves to the next element and reports whether there is one.
func (it *Items) Next() bool {
	if it.err != nil {
		return false
	}
	if it.src != nil {
		if long, ok := it.load(); long || !ok {
			return ok
		}
	}
	switch it.form {
	case formListpack:
		return it.nextListpack()
	case formZiplist:
		return it.nextZiplist()
	case formIntset:
		return it.nextIntset()
	default:
		return it.nextZipmap()
	}
}

// clip makes a length of 32 bits an int that can be added to on every platform.
// No server lets a blob pass 1 GiB, so what is cut is beyond its end anyway.
func clip(n uint32) int { return int(min(n, 1<<30)) }

// fail ends the walk because of a fault at the cursor.
func (it *Items) fail(what string) bool {
	it.text, it.isInt = nil, false
	at, size := it.offset(), int64(len(it.b))
	if it.src != nil {
		size = it.src.size
	}
	it.err = fmt.Errorf("%w: byte %d of a %s of %d: %s", ErrDamaged, at, formNames[it.form], size, what)
	return false
}

// offset returns the place of the cursor in the blob.
func (it *Items) offset() int64 {
	if it.src != nil {
		return it.src.base + int64(it.i)
	}
	return int64(it.i)
}

// finish ends the walk at the end mark: it must be the blob's last byte, and the
// header must have told the number of elements.
func (it *Items) finish() bool {
	if it.i != it.end {
		return it.fail("end mark before the end")
	}
	if it.count >= 0 && it.count != it.seen {
		return it.fail(fmt.Sprintf("the header says %d elements, there are %d", it.count, it.seen))
	}
	it.text, it.isInt = nil, false
	if it.src != nil {
		return it.finishStream()
	}
	return false
}

// inMemory completes the items of a blob in memory, of which the header has been
// read.
func (it *Items) inMemory(b []byte) {
	it.b, it.end = b, len(b)-1
	if it.err == nil && b[it.end] != endMark {
		it.fail("no end mark")
	}
}

func (it *Items) setText(p []byte) {
	it.text, it.isInt = p[:len(p):len(p)], false
	it.seen++
}

func (it *Items) setInt(n int64) {
	it.text, it.num, it.isInt = nil, n, true
	it.seen++
}
