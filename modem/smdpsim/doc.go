// Package smdpsim is a stateful test SM-DP+.
package smdpsim
