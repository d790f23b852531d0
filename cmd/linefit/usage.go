package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// parsed is a command line that was understood, or its exit code.
type parsed struct {
	kctx *kong.Context
	code int // where kctx is nil
}

// checker is a command with rules that its flags' types do not say.
type checker interface{ check() error }

// parse understands a command line. Every mistake in it is printed, not only
// the first one.
func parse(args []string, stdout, stderr io.Writer) parsed {
	var found []string
	rest, help := args, &output{w: stdout}
	for range len(args) + 1 {
		kctx, code, err := parseOnce(rest, help, stderr)
		if help.err != nil {
			return parsed{code: report(stderr, exit(exitMissing, help.err))}
		}
		if err == nil && kctx == nil {
			return parsed{code: code} // help, or the version
		}
		if err == nil {
			if len(found) == 0 {
				return parsed{kctx: kctx}
			}
			if c, ok := kctx.Selected().Target.Addr().Interface().(checker); ok {
				if err := c.check(); err != nil {
					found = append(found, strings.Split(err.Error(), "\n")...)
				}
			}
			break
		}
		var internal *kong.ParseError
		if !errors.As(err, &internal) {
			fmt.Fprintln(stderr, "linefit:", err)
			return parsed{code: exitInternal}
		}
		if text := err.Error(); !slices.Contains(found, text) {
			found = append(found, text)
		}
		without, ok := withoutMistake(rest, err.Error())
		if !ok {
			break
		}
		rest = without
	}
	for _, f := range found {
		fmt.Fprintln(stderr, "linefit:", f)
	}
	fmt.Fprintf(stderr, "linefit: see linefit%s --help\n", commandOf(args))
	if slices.Contains(args, "--json") {
		_ = printJSON(stdout, failure{Code: exitUsage, Error: strings.Join(found, "\n")}) // the exit code says it too
	}
	return parsed{code: exitUsage}
}

// parseOnce is one try on a fresh command line, up to the first mistake.
func parseOnce(args []string, stdout, stderr io.Writer) (kctx *kong.Context, code int, err error) {
	exited := -1
	parser, err := newParser(stdout, stderr, func(code int) { exited = code })
	if err != nil {
		return nil, 0, err
	}
	kctx, err = parser.Parse(args)
	if exited >= 0 {
		return nil, exited, nil
	}
	return kctx, 0, err
}

func newParser(stdout, stderr io.Writer, leave func(int)) (*kong.Kong, error) {
	return kong.New(&cli{},
		kong.Name("linefit"),
		kong.Description("Factory-line provisioning station: cellular modules and their eUICCs, many slots at once, every step proven."),
		kong.Writers(stdout, stderr),
		kong.Exit(leave),
		kong.Vars{"version": version},
	)
}

var (
	wrongFlag    = regexp.MustCompile(`^(--[a-z0-9-]+)(: | must be one of )`)
	unknownFlag  = regexp.MustCompile(`^unknown flag (-[^\s,]*)`)
	unexpectedIs = regexp.MustCompile(`^unexpected argument (\S+)`)
)

// withoutMistake takes what a message is about out of a command line, so that
// the next mistake comes up. It reports false where there is nothing to take.
func withoutMistake(args []string, text string) ([]string, bool) {
	cut := func(at, n int) ([]string, bool) {
		if at < 0 {
			return nil, false
		}
		return slices.Delete(slices.Clone(args), at, min(at+n, len(args))), true
	}
	named := func(flag string) int {
		return slices.IndexFunc(args, func(a string) bool { return a == flag || strings.HasPrefix(a, flag+"=") })
	}
	switch {
	case wrongFlag.MatchString(text):
		flag := wrongFlag.FindStringSubmatch(text)[1]
		at := named(flag)
		if at >= 0 && args[at] == flag {
			return cut(at, 2) // with its value
		}
		return cut(at, 1)
	case unknownFlag.MatchString(text):
		return cut(named(unknownFlag.FindStringSubmatch(text)[1]), 1)
	case unexpectedIs.MatchString(text) && len(args) > 1:
		at := slices.Index(args, unexpectedIs.FindStringSubmatch(text)[1])
		if at == 0 {
			return nil, false // no such command: the rest means nothing
		}
		return cut(at, 1)
	}
	return nil, false
}

// commandOf is the command that a command line begins with, as far as there is
// one of that name.
func commandOf(args []string) string {
	parser, err := newParser(io.Discard, io.Discard, func(int) {})
	if err != nil {
		return ""
	}
	node, text := parser.Model.Node, ""
	for _, a := range args {
		i := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == a && c.Type == kong.CommandNode })
		if i < 0 {
			break
		}
		node, text = node.Children[i], text+" "+a
	}
	return text
}
