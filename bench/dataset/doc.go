// Package dataset writes RDB dumps without a server: the data sets of the benchmarks, the sample of the demo and generated values for the tests of
// other packages.
//
// Everything is deterministic: the same arguments give the same bytes, on every machine. Dumps are streamed to an [io.Writer] with a footer computed
// by hash/crc64, in constant memory whatever their size.
//
// The lower layer is a set of append functions, one for each thing an RDB file is made of: lengths and strings ([AppendLen], [AppendString]),
// the packed blobs ([AppendListpack], [AppendZiplist], [AppendZipmap], [AppendIntset]) and whole values ([AppendHash], [AppendZset2], [AppendStream]
// and so on). [Writer] puts them into a file. [AppendRandom] makes an awkward value of any type for property tests.
package dataset
