package main

import (
	"context"

	"linefit/internal/strictyaml"
)

// Bounds of the files that a person names, in bytes.
const (
	maxSmallFile = 4 << 20   // keys, certificates, tokens, settings
	maxListFile  = 256 << 20 // lists of codes and units, batches, reports
)

// readFile reads a small file that a person named.
func readFile(path string) ([]byte, error) { return strictyaml.ReadFile(path, maxSmallFile) }

// readListFile reads a file that a person named, which may be large.
func readListFile(path string) ([]byte, error) { return strictyaml.ReadFile(path, maxListFile) }

// untilStopped runs something bounded that takes no context, such as a parser, and
// does not wait for its end once the context has ended: the process then ends too.
func untilStopped[T any](ctx context.Context, fn func() (T, error)) (v T, err error) {
	type outcome struct {
		v     T
		err   error
		fault any
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			o.fault = recover() // the caller's to report
			done <- o
		}()
		o.v, o.err = fn()
	}()
	select {
	case o := <-done:
		if o.fault != nil {
			panic(o.fault)
		}
		return o.v, o.err
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
}
