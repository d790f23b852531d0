//go:build unix

package main

import (
	"runtime"
	"syscall"
	"time"
)

// usage is this process's CPU time in seconds and its peak resident memory in
// bytes.
func usage() (cpu float64, rss int64) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, 0
	}
	cpu = (time.Duration(u.Utime.Nano()) + time.Duration(u.Stime.Nano())).Seconds()
	rss = int64(u.Maxrss)
	if runtime.GOOS == "linux" {
		rss *= 1024 // kilobytes there
	}
	return cpu, rss
}
