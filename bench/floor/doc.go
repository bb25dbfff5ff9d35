// Package floor is the bare program that an import is measured against: it
// renders the commands of an import beforehand, and then only writes them, one
// connection to each master, and counts the replies. No import can be faster
// than that, so the ratio of the two is what the importer itself costs.
package floor
