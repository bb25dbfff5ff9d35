// Package prefetch asks the processor for memory before it is needed.
//
// A Feeder fills a batch for each master in turn. Where these are many, the place
// at which a batch goes on has left the nearest caches by the time a key comes for
// it, and the processor, which foresees what follows in one place or in a dozen,
// does not foresee hundreds. So whoever has written to a batch says where it will
// go on.
package prefetch

import "unsafe"

// Ahead says that the 512 bytes from 64 behind buf on will be written, and the 64 of
// a list of commands from 64 behind cmds on: what comes before is at hand. It reads
// and writes nothing, so any address will do: the memory need not be there.
func Ahead(buf, cmds unsafe.Pointer) { ahead(buf, cmds) }
