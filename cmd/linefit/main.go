// Command linefit is factory-line provisioning station software. This package
// is flags and wiring only; docs/architecture.md says where things live.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the whole command line. Each subcommand has its own file and a Run
// method that takes *app.
type cli struct {
	Euicc    euiccCmd    `cmd:"" help:"One eUICC by hand, on any port."`
	Demo     demoCmd     `cmd:"" help:"The main job on a whole line without hardware."`
	Serve    serveCmd    `cmd:"" help:"The station's daemon."`
	Doctor   doctorCmd   `cmd:"" help:"What a station needs, looked at one by one, and how to mend it."`
	UI       uiCmd       `cmd:"" name:"ui" help:"The operator's screen, on the running station."`
	RunOne   runCmd      `cmd:"" name:"run" help:"One unit, for engineering."`
	Profiles profilesCmd `cmd:"" help:"The stock of profiles: activation codes and who has them."`
	Rework   reworkCmd   `cmd:"" help:"Units that did not pass: tickets, repairs, what becomes of them."`
	Audit    auditCmd    `cmd:"" help:"The audit log: verify, read, export, prove."`
	Why      whyCmd      `cmd:"" help:"A unit's story in plain words."`
	Report   reportCmd   `cmd:"" help:"Yield, failures, times and interoperability as one HTML file."`
	Recipe   recipeCmd   `cmd:"" help:"Recipes: check, show, digest."`
	Config   configCmd   `cmd:"" help:"The station file: check."`
	Bench    benchCmd    `cmd:"" help:"How fast the whole job is with different numbers of slots."`
	Sim      simCmd      `cmd:"" help:"The virtual parts, one by one, for other programs to talk to."`
}

// app is what a subcommand gets: where to read and print, and the context that
// ends with SIGINT or SIGTERM.
type app struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "linefit: fault of linefit itself: %v\n%s", r, stack())
			code = exitInternal
		}
	}()
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("linefit"),
		kong.Description("Factory-line provisioning station: cellular modules and their eUICCs, many slots at once, every step proven."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.UsageOnError(),
	)
	if err != nil {
		fmt.Fprintln(stderr, "linefit:", err)
		return exitInternal
	}
	kctx, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintln(stderr, "linefit:", err)
		return exitUsage
	}
	return report(stderr, kctx.Run(&app{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr}))
}
