// Package pipeline brings the entries of a dump to the masters that own them: it
// renders RESTORE commands into batches, writes them through one or more lanes
// per master, reads the replies, and sends again what did not arrive, until
// every key is where it belongs or is counted with the reason why not.
//
// # Who owns what
//
// A batch is a buffer of whole commands. It is owned by exactly one party at a
// time and handed on by queue:
//
//	pool ──► Feeder ──► lane's writer ──► lane's reader ──► pool
//	                        ▲                  │ not all settled
//	                        └────── redo ◄─────┘
//
// The number of batches is fixed by the memory budget, and every queue that a
// batch can be in has room for all of them, so that handing on never blocks.
// Taking one from the pool is what holds the source back. A command that has to
// be sent again stays in its batch, which goes back to a lane without passing
// through the pool: retries therefore never wait for memory.
//
// A Feeder scans its dump and renders it in one goroutine. Against many masters,
// and with processors to spare, it only scans: it copies entries into chunks, of
// which there are few, and other goroutines, each with a Feeder of its own, render
// those (see encoders).
//
// A value too large to be held is not in any batch. It is read while it is written,
// through a link, a connection of its own: by the Feeder, or, where the source can be
// read in several places at once, by one of a few carriers while the Feeder goes on.
package pipeline
