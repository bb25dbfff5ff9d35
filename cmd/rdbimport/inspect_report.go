package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/census"
)

// An inspectReport is what is in the dumps: the object that --json prints.
type inspectReport struct {
	Keys            int64             `json:"keys"`
	Bytes           int64             `json:"bytes"` // of the keys' records
	BytesRead       int64             `json:"bytes_read"`
	DurationSeconds float64           `json:"duration_seconds"`
	Checksum        string            `json:"checksum"` // of several dumps the worst
	Sources         []inspectedSource `json:"sources"`
	Databases       []inspectedDB     `json:"databases"`
	Types           []inspectedType   `json:"types"`
	Expiry          inspectedExpiry   `json:"expiry"`
	Sizes           inspectedSizes    `json:"sizes"`
	Top             []inspectedKey    `json:"top"`
	Functions       []inspectedName   `json:"functions"`
	Scripts         int64             `json:"scripts"`
	Modules         []inspectedModule `json:"modules"`
	ModuleAux       []inspectedName   `json:"module_aux"`
	Slots           []inspectedSlot   `json:"slots,omitzero"` // absent without --slots
	Masters         []inspectedMaster `json:"masters,omitempty"`
	Unowned         *inspectedCount   `json:"unowned,omitempty"` // keys in slots that no master has
	Prefixes        *inspectedTable   `json:"prefixes,omitempty"`
	Memory          *inspectedMemory  `json:"memory,omitempty"`

	// Error and ExitCode are absent where all went well.
	Error    string `json:"error,omitempty"`
	ExitCode int    `json:"exit_code,omitempty"`

	duration time.Duration
	checksum rdbparse.Checksum
	worst    summary // keeps the worst checksum
}

type inspectedCount struct {
	Keys  int64 `json:"keys"`
	Bytes int64 `json:"bytes"`
}

type inspectedSource struct {
	Name       string            `json:"name"`
	RDBVersion int               `json:"rdb_version"`
	Family     string            `json:"family"`   // of the magic: redis or valkey
	Producer   string            `json:"producer"` // as the AUX fields tell, "" if they do not
	Aux        map[string]string `json:"aux"`
	inspectedCount
	BytesRead int64  `json:"bytes_read"`
	Checksum  string `json:"checksum"`
	Offset    int64  `json:"offset"` // how much of the dump was read

	order []census.Aux
}

type inspectedDB struct {
	DB uint32 `json:"db"`
	inspectedCount
}

type inspectedType struct {
	Type     string `json:"type"`
	Encoding string `json:"encoding"`
	inspectedCount
}

type inspectedExpiry struct {
	Expired inspectedCount `json:"expired"`
	Day     inspectedCount `json:"within_day"`
	Later   inspectedCount `json:"later"`
	None    inspectedCount `json:"none"`
}

type inspectedSizes struct {
	P50 int64 `json:"p50"`
	P90 int64 `json:"p90"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// inspectedKey is one of the biggest keys. A name of more than 1024 bytes is cut.
type inspectedKey struct {
	Key       *string `json:"key,omitempty"`
	KeyBase64 string  `json:"key_base64,omitempty"`
	DB        uint32  `json:"db"`
	Type      string  `json:"type"`
	Encoding  string  `json:"encoding"`
	Bytes     int64   `json:"bytes"`
	Elements  *int64  `json:"elements,omitempty"`
	Source    string  `json:"source"`

	name string
}

type inspectedName struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

type inspectedModule struct {
	Name string `json:"name"`
	inspectedCount
}

type inspectedSlot struct {
	Slot int `json:"slot"`
	inspectedCount
	Memory *int64 `json:"memory,omitempty"`
}

type inspectedMaster struct {
	Addr  string `json:"addr"`
	ID    string `json:"id"`
	Slots int    `json:"slots"`
	inspectedCount
	Share  float64 `json:"share"` // of the bytes, of 1
	Memory *int64  `json:"memory,omitempty"`
}

// inspectedTable are the prefixes, the one with the most bytes first. When there
// were too many to hold them all, the lightest were summed up.
type inspectedTable struct {
	List    []inspectedPrefix `json:"list"`
	Other   inspectedCount    `json:"other"`   // of those summed up
	Dropped int64             `json:"dropped"` // how many these were
}

type inspectedPrefix struct {
	Prefix string `json:"prefix"`
	inspectedCount
}

// inspectedMemory is the estimate of memory. Expired keys are left out.
type inspectedMemory struct {
	Bytes       int64           `json:"bytes"`
	Estimated   inspectedCount  `json:"estimated"`
	Unestimated []inspectedType `json:"unestimated"`
}

// add notes what was read of a source.
func (rep *inspectReport) add(s *inspectSource, d census.Dump) {
	src := inspectedSource{
		Name: s.name, RDBVersion: d.Version, Family: "redis", Producer: producer(&d), Aux: map[string]string{},
		inspectedCount: inspectedCount(d.Count), BytesRead: s.bytes(), Checksum: d.Checksum.String(), Offset: d.Offset, order: d.Aux,
	}
	if d.Valkey {
		src.Family = "valkey"
	}
	for _, a := range d.Aux {
		src.Aux[validText(a.Name)] = validText(a.Value)
	}
	rep.worst.noteChecksum(d.Checksum)
	rep.Sources = append(rep.Sources, src)
}

// producer says which server wrote a dump, "" if it does not tell.
func producer(d *census.Dump) string {
	for _, p := range []struct{ aux, name string }{{"valkey-ver", "Valkey"}, {"df-ver", "Dragonfly"}, {"redis-ver", "Redis"}} {
		if v := d.AuxValue(p.aux); v != "" {
			return p.name + " " + v
		}
	}
	return ""
}

// finish completes the report from what was counted. err ended the reading early,
// nil if nothing did.
func (rep *inspectReport) finish(r *inspection, err error) {
	rep.duration = time.Since(r.began)
	rep.DurationSeconds = rounded(rep.duration.Seconds())
	rep.checksum = rep.worst.checksum
	rep.Checksum = rep.checksum.String()
	if err != nil {
		rep.Error, rep.ExitCode = err.Error(), exitCode(err)
	}
	for _, s := range r.inputs {
		rep.BytesRead += s.bytes()
	}
	c := r.census
	if c == nil { // nothing was read
		c = census.New(census.Options{})
	}
	rep.Keys, rep.Bytes = c.Total.Keys, c.Total.Bytes
	rep.counts(c)
	rep.top(r, c)
	rep.beside(c)
	rep.spread(r, c)
	rep.memory(r, c)
	if rep.Sources == nil {
		rep.Sources = []inspectedSource{}
	}
}

func (rep *inspectReport) counts(c *census.Census) {
	rep.Databases, rep.Types = []inspectedDB{}, inspectedTypes(c.Types())
	for _, db := range c.Databases() {
		rep.Databases = append(rep.Databases, inspectedDB{db.DB, inspectedCount(db.Count)})
	}
	x := &c.Expiry
	rep.Expiry = inspectedExpiry{inspectedCount(x.Expired), inspectedCount(x.Day), inspectedCount(x.Later), inspectedCount(x.None)}
	rep.Sizes = inspectedSizes{c.Sizes.Percentile(50), c.Sizes.Percentile(90), c.Sizes.Percentile(99), c.Sizes.Max()}
}

func inspectedTypes(list []census.TypeCount) []inspectedType {
	out := make([]inspectedType, len(list))
	for i, t := range list {
		out[i] = inspectedType{t.Type.Kind.String(), t.Type.Name, inspectedCount(t.Count)}
	}
	return out
}

func (rep *inspectReport) top(r *inspection, c *census.Census) {
	rep.Top = []inspectedKey{}
	for _, k := range c.Top() {
		j := inspectedKey{
			DB: k.DB, Type: k.Type.Kind.String(), Encoding: k.Type.Name, Bytes: k.Bytes,
			Source: r.inputs[k.Source].name, name: string(k.Key),
		}
		if utf8.Valid(k.Key) {
			j.Key = &j.name
		} else {
			j.KeyBase64 = base64.StdEncoding.EncodeToString(k.Key)
		}
		if k.Elements >= 0 {
			j.Elements = &k.Elements
		}
		rep.Top = append(rep.Top, j)
	}
}

// beside fills in what stands beside the keys.
func (rep *inspectReport) beside(c *census.Census) {
	rep.Functions, rep.ModuleAux, rep.Scripts = inspectedNames(c.Libraries), inspectedNames(c.ModuleAux), c.Scripts
	rep.Modules = []inspectedModule{}
	for _, name := range slices.Sorted(maps.Keys(c.Modules)) {
		rep.Modules = append(rep.Modules, inspectedModule{validText(name), inspectedCount(*c.Modules[name])})
	}
}

func inspectedNames(table map[string]int64) []inspectedName {
	list := []inspectedName{}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		list = append(list, inspectedName{validText(name), table[name]})
	}
	return list
}

// spread fills in how the keys spread over slots, masters and prefixes.
func (rep *inspectReport) spread(r *inspection, c *census.Census) {
	if r.slots {
		rep.Slots = []inspectedSlot{}
		for slot, n := range c.Slots() {
			if n.Keys == 0 {
				continue
			}
			s := inspectedSlot{Slot: slot, inspectedCount: inspectedCount(n)}
			if r.memory {
				s.Memory = &c.SlotMemory()[slot]
			}
			rep.Slots = append(rep.Slots, s)
		}
	}
	if r.masters != nil {
		rep.byMaster(r, c)
	}
	if r.prefix {
		list, other, dropped := c.Prefixes()
		rep.Prefixes = &inspectedTable{[]inspectedPrefix{}, inspectedCount(other), dropped}
		for _, p := range list[:min(len(list), r.inspectSettings.top)] {
			rep.Prefixes.List = append(rep.Prefixes.List, inspectedPrefix{validText(p.Name), inspectedCount(p.Count)})
		}
		for _, p := range list[len(rep.Prefixes.List):] {
			rep.Prefixes.Other.Keys += p.Keys
			rep.Prefixes.Other.Bytes += p.Bytes
			rep.Prefixes.Dropped++
		}
	}
}

// byMaster sums up the slots of each master.
func (rep *inspectReport) byMaster(r *inspection, c *census.Census) {
	rep.Masters = make([]inspectedMaster, len(r.masters.Masters))
	rooms := make([]int64, len(rep.Masters))
	for i, m := range r.masters.Masters {
		rep.Masters[i].Addr, rep.Masters[i].ID = m.Addr, m.ID
		if r.memory {
			rep.Masters[i].Memory = &rooms[i]
		}
	}
	for slot, n := range c.Slots() {
		owner := r.masters.Owner(uint16(slot))
		if owner < 0 {
			if n.Keys > 0 {
				if rep.Unowned == nil {
					rep.Unowned = &inspectedCount{}
				}
				rep.Unowned.Keys += n.Keys
				rep.Unowned.Bytes += n.Bytes
			}
			continue
		}
		m := &rep.Masters[owner]
		m.Slots++
		m.Keys += n.Keys
		m.Bytes += n.Bytes
		rooms[owner] += c.SlotMemory()[slot]
	}
	for i := range rep.Masters {
		if rep.Bytes > 0 {
			rep.Masters[i].Share = rounded(float64(rep.Masters[i].Bytes) / float64(rep.Bytes))
		}
	}
}

func (rep *inspectReport) memory(r *inspection, c *census.Census) {
	if r.inspectSettings.memory {
		rep.Memory = &inspectedMemory{c.Memory, inspectedCount(c.Estimated), inspectedTypes(c.Unestimated())}
	}
}

// validText returns a name for JSON: one that is no UTF-8 is quoted as Go does it.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strconv.Quote(s)
}

// writeObject prints v as one JSON object on a line of its own.
func writeObject(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
