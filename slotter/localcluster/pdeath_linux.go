package localcluster

import "syscall"

// dieWithParent makes the kernel kill the child when the thread that started it ends. See process for why that is the whole program.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
