// Command linefit is factory-line provisioning station software. This package
// is flags and wiring only; docs/architecture.md says where things live.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the whole command line. Each subcommand has its own file and a Run
// method that takes *app.
type cli struct {
	Version kong.VersionFlag `help:"Print the version."`

	Euicc     euiccCmd     `cmd:"" help:"One eUICC by hand, on any port."`
	Demo      demoCmd      `cmd:"" help:"The main job on a whole line without hardware."`
	Serve     serveCmd     `cmd:"" help:"The station's daemon."`
	Doctor    doctorCmd    `cmd:"" help:"What a station needs, looked at one by one, and how to mend it."`
	UI        uiCmd        `cmd:"" name:"ui" help:"The operator's screen, on the running station."`
	RunOne    runCmd       `cmd:"" name:"run" help:"One unit, for engineering."`
	Profiles  profilesCmd  `cmd:"" help:"The stock of profiles: activation codes and who has them."`
	Units     unitsCmd     `cmd:"" help:"The module maker's pairing lists: which module has which eUICC."`
	Handover  handoverCmd  `cmd:"" help:"The list for an eIM's operator: onboarding records of released units, with association tokens."`
	Rework    reworkCmd    `cmd:"" help:"Units that did not pass: tickets, repairs, what becomes of them."`
	Operators operatorsCmd `cmd:"" help:"People: who stands behind a pseudonym of the log, and to forget it."`
	Audit     auditCmd     `cmd:"" help:"The audit log: verify, read, export, prove."`
	Station   stationCmd   `cmd:"" help:"The whole station: backup, restore, replacement."`
	Why       whyCmd       `cmd:"" help:"A unit's story in plain words."`
	Report    reportCmd    `cmd:"" help:"Yield, failures, times and interoperability as one HTML file."`
	Recipe    recipeCmd    `cmd:"" help:"Recipes: check, show, digest."`
	Config    configCmd    `cmd:"" help:"The station file: check."`
	Bench     benchCmd     `cmd:"" help:"How fast the whole job is with different numbers of slots."`
	Sim       simCmd       `cmd:"" help:"The virtual parts, one by one, for other programs to talk to."`
}

// app is what a subcommand gets: where to read and print, and the context that
// ends with SIGINT or SIGTERM.
type app struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// lost says that something that was asked for did not get where it should: a command
// that says nothing else ends with it.
func (a *app) lost(err error) {
	if o, ok := a.stdout.(*output); ok && o.err == nil {
		o.err = err
	}
}

func main() {
	lighten(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// stopSignals are the signals that end a command in good order. A terminal that
// is gone is one of them, but not for who was told to outlive it (nohup). Whoever
// reads stdout or stderr and goes away ends nothing by a signal: a download would
// stop in the middle, and a demo leave its folder. A command learns it from its
// writes.
func stopSignals() []os.Signal {
	signal.Ignore(syscall.SIGPIPE)
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// lighten suits the runtime to work on one eUICC by hand, which waits for one
// serial line nearly all the time and ends soon: goroutines that hand an answer
// on need no second processor woken for it, and little garbage needs collecting.
func lighten(args []string) {
	if len(args) == 0 || args[0] != "euicc" {
		return
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "linefit: fault of linefit itself: %v\n%s", r, stack())
			code = exitInternal
		}
	}()
	if len(args) == 0 {
		parse([]string{"--help"}, stderr, stderr)
		return exitUsage
	}
	p := parse(args, stdout, stderr)
	if p.kctx == nil {
		return p.code
	}
	out := &output{w: stdout}
	err := p.kctx.Run(&app{ctx: ctx, stdin: stdin, stdout: out, stderr: stderr})
	if out.err != nil && silent(err) { // what was asked for did not arrive
		err = exit(exitMissing, out.err)
	}
	code = report(stderr, err)
	if code != exitOK && out.n == 0 && wantsJSON(p.kctx) {
		_ = printJSON(out, failureDocument(err, code)) // the exit code says it too
	}
	return code
}

// output is stdout; it remembers whether something was written, and that
// something could not be.
type output struct {
	w   io.Writer
	n   int
	err error
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.n += n
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}
