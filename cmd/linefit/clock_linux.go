package main

import "golang.org/x/sys/unix"

// clockSynced asks the kernel whether the clock is synchronised (adjtimex).
func clockSynced() (synced, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, false
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, true
}
