// Package source opens what a user names as a dump and gives its RDB bytes, starting at the magic.
//
// A dump comes as a file, a pipe or standard input; plain, or inside gzip, zstd or lz4, or as the reply a master
// sends to a replica. What it is, is told from its first bytes, never from its name. Everything is streamed: memory
// is bounded by the decoders' windows, whatever a header claims.
//
// A Source is read by one goroutine. RawRead, Offset, Identity and Interrupt may be called from others meanwhile.
package source
