package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"linefit/configs"
	"linefit/internal/strictyaml"
	"linefit/modem/modemsim"
	"linefit/modem/testpki"
	"linefit/station/fixture"
)

// maxSimModules bounds --count: each module has a pseudo terminal, of which a
// system has some thousands.
const maxSimModules = 1024

// simModulesCmd is virtual modules with virtual eUICCs on pseudo terminals.
type simModulesCmd struct {
	simCards

	Count      int           `default:"1" help:"How many modules."`
	Persona    []string      `default:"quectel-eg25" placeholder:"NAME" help:"Module family; several are dealt to the slots in turn. --persona list shows them."`
	Personas   string        `placeholder:"DIR" help:"Folder of personas (*.yaml) instead of the built-in ones."`
	Baud       int           `default:"0" help:"Rate in bit/s at which characters take their time; 0: as fast as they come."`
	Faults     string        `default:"none" placeholder:"PLAN" help:"What goes wrong: none, typical, harsh, or a YAML file of rules."`
	Seed       uint64        `default:"1" help:"Decides which faults strike where; also part of the identifiers made up."`
	State      string        `placeholder:"DIR" help:"Keep the cards' memory and the modules' settings in this folder."`
	Link       string        `placeholder:"DIR" help:"Make a symbolic link slotN here to each terminal, which stays when a port vanishes and returns."`
	Boot       time.Duration `default:"300ms" help:"Boot time; the personas' other boot times keep their proportion. 0: as in the persona."`
	StrictBaud bool          `help:"Characters are garbage while a client's speed is not the module's rate. B0 counts as not set."`
	MakerData  string        `type:"path" placeholder:"FILE" help:"Write the eUICC maker's data there: certificates and one-time keys of all cards (linefit-euicc-data/1)."`
	Network    bool          `help:"A network accepts registration attempts."`
	Control    bool          `help:"Take lines 'on N', 'off N', 'reset N', 'in N', 'out N' from stdin: the modules' power supply, reset pin and presence."`
	Fixture    string        `placeholder:"ADDR" help:"Be the fixture of the slots at unix:PATH or tcp:HOST:PORT, as in a station file: a station switches the supplies, which are off until then."`
	JSON       bool          `name:"json" help:"JSON Lines: first the modules, later each port that returned, at the end the counters."`
}

// Run serves until the context ends.
func (c *simModulesCmd) Run(a *app) error {
	in, err := c.inputs()
	if err != nil {
		return exit(exitUsage, err)
	}
	if len(c.Persona) == 1 && c.Persona[0] == "list" {
		return c.list(a.stdout, in.personas)
	}
	unlock, err := simFolders(c.State, c.Link)
	if err != nil {
		return err
	}
	defer unlock()
	var panel net.Listener
	if c.Fixture != "" {
		if panel, err = simFixtureListener(a.ctx, c.Fixture); err != nil {
			return err
		}
		defer panel.Close()
	}
	out := &simModulesOutput{w: a.stdout, json: c.JSON}
	start := &simModulesStart{panel: panel}
	for slot := 1; slot <= c.Count; slot++ {
		m, err := c.module(slot, in, out)
		if err != nil {
			return err
		}
		start.Modules = append(start.Modules, *m)
	}
	if err := c.makerData(start); err != nil {
		return err
	}
	return c.serve(a, in, start, out)
}

// serve runs the modules until the context ends.
func (c *simModulesCmd) serve(a *app, in *simModulesInputs, start *simModulesStart, out *simModulesOutput) error {
	g, ctx := errgroup.WithContext(a.ctx)
	for _, m := range start.Modules {
		g.Go(func() error { return m.port.Run(ctx) })
		_ = m.board.Power(true) // never fails
	}
	g.Go(func() error {
		if err := start.ready(ctx); err != nil {
			return nil // interrupted while booting
		}
		if start.panel == nil {
			return out.start(start)
		}
		for _, m := range start.Modules {
			_ = m.board.Power(false)
		}
		if err := out.start(start); err != nil {
			return err
		}
		return fixture.ServeController(ctx, start.panel, start.boards())
	})
	if c.Control {
		commands := simLines(ctx, a.stdin)
		g.Go(func() error { return c.control(ctx, commands, start, a.stderr) })
	}
	if err := g.Wait(); err != nil {
		return exit(exitMissing, err)
	}
	return out.end(start)
}

// ready waits until the modules have booted, and no longer than they may take:
// a fault may keep one from it.
func (s *simModulesStart) ready(ctx context.Context) error {
	for i := range s.Modules {
		m := &s.Modules[i]
		p := m.module.Persona()
		limit, cancel := context.WithTimeout(ctx, max(p.Boot.Alive, p.Boot.SIM)+5*time.Second)
		err := m.module.WaitReady(limit)
		if err == nil {
			m.PTY, err = m.port.Wait(limit)
		}
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // a dead module has its terminal all the same
			m.PTY = m.port.Path()
		}
	}
	return nil
}

// simModulesInputs is everything read before anything starts.
type simModulesInputs struct {
	personas modemsim.Personas
	plan     modemsim.Plan
	cards    *testpki.CardMaker
}

// inputs reads everything that can be wrong, and reports all mistakes at once.
func (c *simModulesCmd) inputs() (*simModulesInputs, error) {
	in := &simModulesInputs{}
	var errs []error
	if c.Count < 1 || c.Count > maxSimModules {
		errs = append(errs, fmt.Errorf("--count %d is not between 1 and %d", c.Count, maxSimModules))
	}
	if c.Boot < 0 || c.Baud < 0 {
		errs = append(errs, errors.New("--baud and --boot are not negative"))
	}
	var err error
	if in.personas, err = c.personas(); err != nil {
		errs = append(errs, err)
	} else if c.Persona[0] != "list" {
		for _, name := range c.Persona {
			if _, err := in.personas.Get(name); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if in.plan, err = c.plan(); err != nil {
		errs = append(errs, err)
	}
	if in.cards, err = c.maker(); err != nil {
		errs = append(errs, err)
	} else if c.Count > 1 && !in.cards.CanMint() {
		errs = append(errs, fmt.Errorf("--count %d: %w in %s", c.Count, testpki.ErrNoEUMKey, c.PKI))
	}
	return in, errors.Join(errs...)
}

func (c *simModulesCmd) personas() (modemsim.Personas, error) {
	if c.Personas != "" {
		return modemsim.LoadPersonas(os.DirFS(c.Personas), ".")
	}
	return modemsim.LoadPersonas(configs.FS, "personas")
}

func (c *simModulesCmd) plan() (modemsim.Plan, error) {
	if filepath.Ext(c.Faults) == "" {
		return modemsim.BuiltinPlan(c.Faults)
	}
	data, err := readFile(c.Faults)
	if err != nil {
		return modemsim.Plan{}, err
	}
	return modemsim.ParsePlan(c.Faults, data)
}

// fileCode is the exit code for a file that cannot be had.
func fileCode(err error) int {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return exitRefused
	case errors.Is(err, strictyaml.ErrNoFile), errors.Is(err, strictyaml.ErrTooLarge):
		return exitUsage
	}
	return exitMissing
}

func (c *simModulesCmd) list(w io.Writer, personas modemsim.Personas) error {
	if c.JSON {
		return printJSON(w, map[string]any{"personas": personas.Names()})
	}
	for _, name := range personas.Names() {
		fmt.Fprintf(w, "%-18s %s\n", name, personas[name].About)
	}
	return nil
}

// control is the fixture by hand.
func (c *simModulesCmd) control(ctx context.Context, lines <-chan string, s *simModulesStart, stderr io.Writer) error {
	for {
		var line string
		var more bool
		select {
		case <-ctx.Done():
			return nil
		case line, more = <-lines:
			if !more {
				return nil
			}
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		var verb string
		var slot int
		if n, err := fmt.Sscan(line, &verb, &slot); n != 2 || err != nil || slot < 1 || slot > len(s.Modules) {
			fmt.Fprintf(stderr, "linefit: %q is not 'on N', 'off N', 'reset N', 'in N' or 'out N' with a slot of 1 to %d\n", line, len(s.Modules))
			continue
		}
		board := s.Modules[slot-1].board
		switch verb {
		case "on", "off":
			_ = board.Power(verb == "on") // never fails
		case "reset":
			_ = board.Reset(true)
		case "in", "out":
			board.place(verb == "in")
		default:
			fmt.Fprintf(stderr, "linefit: %q is not 'on N', 'off N', 'reset N', 'in N' or 'out N'\n", line)
		}
	}
}
