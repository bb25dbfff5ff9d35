//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package main

import (
	"errors"
	"os"
)

// tryLock fails: there is no lock here.
func tryLock(*os.File) (got bool, err error) { return false, errors.ErrUnsupported }
