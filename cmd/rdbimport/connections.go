package main

import (
	"fmt"
	"strconv"
)

// A connectionsFlag is a number of connections per master, or 0 for auto: as many as
// carry more.
type connectionsFlag int

// autoConnections is how auto is written.
const autoConnections = "auto"

func (f *connectionsFlag) String() string {
	if *f == 0 {
		return autoConnections
	}
	return strconv.Itoa(int(*f))
}

// Type names the value in the help.
func (f *connectionsFlag) Type() string { return "N" }

// Set reads the value.
func (f *connectionsFlag) Set(s string) error {
	n, err := strconv.Atoi(s)
	switch {
	case s == autoConnections:
		n = 0
	case err != nil || n < 1 || n > mostConnections:
		return fmt.Errorf("it is a number from 1 to %d, or %s", mostConnections, autoConnections)
	}
	*f = connectionsFlag(n)
	return nil
}
