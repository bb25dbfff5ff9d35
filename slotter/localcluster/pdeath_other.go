//go:build !linux

package localcluster

import "syscall"

// dieWithParent can do nothing here: a program that is killed leaves its servers behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
