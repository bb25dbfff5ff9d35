package main

import (
	"strings"

	"github.com/spf13/pflag"
)

// plainly puts the reason why a flag cannot have a value into plain words: the
// packages that read numbers speak of themselves.
func plainly(flag *pflag.Flag, why string) string {
	switch {
	case flag.Value.Type() == "bool":
		return "it has no value, but true or false"
	case strings.HasSuffix(why, "invalid syntax"):
		return "no number"
	case strings.HasSuffix(why, "value out of range"):
		return "out of range"
	}
	return why
}
