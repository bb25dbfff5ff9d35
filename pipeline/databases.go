package pipeline

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// ErrDatabases says that a dump holds several databases and the target has room
// for one.
var ErrDatabases = errors.New("the dump holds several databases")

// databases is where a Feeder stands in the databases of its dump.
type databases struct {
	begun   bool
	last    uint32 // database of the last key
	ignored bool   // keys of it are left out
	many    bool   // the target has several databases
}

func (d *databases) init(im *Importer) { d.many = im.target.several }

// changes reports whether a key is of another database than the one before: next is
// to be asked where it belongs.
func (d *databases) changes(e *rdbparse.Entry) bool { return e.DB != d.last || !d.begun }

// leavesOut reports whether a key is left out: one of another database, or one that
// holds nothing.
func (d *databases) leavesOut(e *rdbparse.Entry) bool { return d.ignored || holdsNothing(e) }

// holdsNothing reports whether a value is a collection of no elements, as far as its
// length says so. Old bugs have left such in dumps, and servers that load them leave
// them out as well.
func holdsNothing(e *rdbparse.Entry) bool {
	return len(e.Value) == 1 && e.Value[0] == 0 && e.Type.Kind != rdbparse.KindString
}

// OneDatabase returns why all keys go to one database of a target, unless the user says
// otherwise: "" if they do not.
func OneDatabase(c *slotter.Cluster) string {
	switch db := c.Target().DB; {
	case db > 0:
		return fmt.Sprintf("the target names one, /%d", db)
	case !c.SeveralDatabases():
		return "the target has one"
	}
	return ""
}

// NewSource tells f that the next entries are of another dump.
func (f *Feeder) NewSource() {
	f.source.begun = false
	f.met, f.before, f.from, f.nextMark = 0, 0, 0, 0
	if f.im.opts.Marks {
		f.im.marks.startMarks(Mark{}, false)
	}
}

// changeDB readies f for the keys of e's database.
func (f *Feeder) changeDB(e *rdbparse.Entry) error {
	if f.source.begun && f.im.opts.Databases.collide() {
		// Keys of this one must not come before those of the last one by the same name.
		if err := f.settled(); err != nil {
			return err
		}
	}
	p, err := f.source.next(e, f.im.opts.Databases, f.im.target.db, &f.im.onlyDB)
	if err != nil {
		return err
	}
	if im := f.im; f.db != p.db {
		if err := im.databases.find(im.reading, im.cluster, im.routes.Load(), p.db); err != nil {
			return fmt.Errorf("key %q: %w", e.Key, err)
		}
	}
	f.form.prefix = append(f.form.prefix[:0], p.prefix...)
	if f.db != p.db {
		f.Flush()
		f.db = p.db
		clear(f.lanes)
	}
	return nil
}

// A placing says where the keys of one database of a dump belong on the target.
type placing struct {
	db     uint32
	prefix string // of each key's name
}

// next moves d on to the database of e, and says where its keys belong: to db,
// unless the target has several and o does not say otherwise.
func (d *databases) next(e *rdbparse.Entry, o Databases, db uint32, only *claim) (placing, error) {
	d.begun, d.last, d.ignored = true, e.DB, false
	p := placing{db: db}
	switch {
	case o.Only != AllDatabases:
		d.ignored = int64(e.DB) != int64(o.Only)
	case o.Prefix != "":
		p.prefix = databasePrefix(o.Prefix, e.DB)
	case o.Merge:
	case d.many:
		p.db = e.DB
	default:
		if first, ok := only.claim(e.DB); !ok {
			return p, fmt.Errorf("%w: %d, and now %d, at key %q; %s", ErrDatabases, first, e.DB, e.Key, only.why)
		}
	}
	return p, nil
}

// A claim is the one database that all sources of an import may hold.
type claim struct {
	db  atomic.Int64 // plus one; 0 before the first key
	why string       // there can be one only
}

// claim takes db for all, and reports whether it is the one that was taken.
func (c *claim) claim(db uint32) (first uint32, ok bool) {
	if c.db.CompareAndSwap(0, int64(db)+1) {
		return db, true
	}
	first = uint32(c.db.Load() - 1)
	return first, first == db
}

// Database returns the database that all keys so far are of, where there can be only
// one; nil before the first key, and where there may be more.
func (im *Importer) Database() *uint32 {
	n := im.onlyDB.db.Load()
	if n == 0 {
		return nil
	}
	db := uint32(n - 1)
	return &db
}

// GoOnIn tells im that an earlier run of the same import has had keys of a database:
// where there can be only one, it is that. It comes before the first Feeder is used.
func (im *Importer) GoOnIn(db uint32) { _, _ = im.onlyDB.claim(db) }

// keyspace returns how many keys a server has in each of its databases that are not empty,
// as INFO says it: "db0:keys=12,expires=3,...".
func keyspace(info map[string]string) map[uint32]int64 {
	dbs := make(map[uint32]int64)
	for name, text := range info {
		number, isDB := strings.CutPrefix(name, "db")
		count, counts := strings.CutPrefix(text, "keys=")
		count, _, _ = strings.Cut(count, ",")
		db, err := strconv.ParseUint(number, 10, 31)
		keys, kerr := strconv.ParseInt(count, 10, 64)
		if isDB && counts && err == nil && kerr == nil {
			dbs[uint32(db)] = keys
		}
	}
	return dbs
}

// databasePrefix returns the prefix for keys of database db.
func databasePrefix(pattern string, db uint32) string {
	return strings.ReplaceAll(pattern, "%d", strconv.FormatUint(uint64(db), 10))
}
