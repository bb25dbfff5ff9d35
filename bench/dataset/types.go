package dataset

import "fmt"

// Type is the value type byte of an RDB file, as in rdb.h.
type Type byte

// The value types this package writes. Number 22 means another layout in files of Redis (7.4 release candidates only, not written here).
const (
	TypeString         Type = 0
	TypeList           Type = 1
	TypeSet            Type = 2
	TypeZset           Type = 3 // scores in ASCII
	TypeHash           Type = 4
	TypeZset2          Type = 5 // scores in binary
	TypeHashZipmap     Type = 9
	TypeListZiplist    Type = 10
	TypeSetIntset      Type = 11
	TypeZsetZiplist    Type = 12
	TypeHashZiplist    Type = 13
	TypeListQuicklist  Type = 14 // ziplist nodes
	TypeStream         Type = 15
	TypeHashListpack   Type = 16
	TypeZsetListpack   Type = 17
	TypeListQuicklist2 Type = 18 // plain and listpack nodes
	TypeStream2        Type = 19
	TypeSetListpack    Type = 20
	TypeStream3        Type = 21
	TypeHash2Valkey    Type = 22 // VALKEY files only: an expiry time beside each field
	TypeHashMetadata   Type = 24 // Redis 7.4+: field expiry, relative to the earliest one
	TypeHashListpackEx Type = 25 // Redis 7.4+: field expiry in a listpack of triples
)

// Flavor is a family of servers by the files they write.
type Flavor struct {
	// Name is the family and release, such as "redis-7.0".
	Name string
	// Magic is the first nine bytes of its files.
	Magic string
	// Types are the value types it can read, ascending, modules left out.
	Types []Type
	// Functions is set where files may hold function libraries.
	Functions bool
}

// baseTypes can be read by every server since Redis 5.0.
var baseTypes = []Type{
	TypeString, TypeList, TypeSet, TypeZset, TypeHash, TypeZset2, TypeHashZipmap, TypeListZiplist,
	TypeSetIntset, TypeZsetZiplist, TypeHashZiplist, TypeListQuicklist, TypeStream,
}

// Flavors returns the families of servers that [Sample] knows, oldest first.
func Flavors() []Flavor {
	with := func(parts ...[]Type) []Type {
		all := append([]Type(nil), baseTypes...)
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	v10 := []Type{TypeHashListpack, TypeZsetListpack, TypeListQuicklist2, TypeStream2}
	v11 := []Type{TypeSetListpack, TypeStream3}
	return []Flavor{
		{Name: "redis-6.0", Magic: "REDIS0009", Types: with()},
		{Name: "redis-7.0", Magic: "REDIS0010", Types: with(v10), Functions: true},
		{Name: "redis-8.0", Magic: "REDIS0012", Types: with(v10, v11, []Type{TypeHashMetadata, TypeHashListpackEx}), Functions: true},
		{Name: "valkey-8.1", Magic: "REDIS0011", Types: with(v10, v11), Functions: true},
		{Name: "valkey-9.1", Magic: "VALKEY080", Types: with(v10, v11, []Type{TypeHash2Valkey}), Functions: true},
	}
}

// FlavorByName finds one of [Flavors].
func FlavorByName(name string) (Flavor, error) {
	for _, f := range Flavors() {
		if f.Name == name {
			return f, nil
		}
	}
	return Flavor{}, fmt.Errorf("no flavor of server is named %q", name)
}
