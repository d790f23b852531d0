package ui

import (
	"context"
	"errors"
	"io"
	"sync"

	tea "charm.land/bubbletea/v2"

	"linefit/ui/client"
)

// Terminal is where a screen is shown. The zero value is the process's own.
type Terminal struct {
	In  io.Reader
	Out io.Writer
	// Env are the terminal's environment variables, "TERM=..."; nil is the
	// process's.
	Env []string
	// Width and Height are the size where Out is no terminal that knows it.
	Width, Height int
}

func (t Terminal) options(ctx context.Context) []tea.ProgramOption {
	opts := []tea.ProgramOption{tea.WithContext(ctx), tea.WithoutSignalHandler()}
	if t.In != nil {
		opts = append(opts, tea.WithInput(t.In))
	}
	if t.Out != nil {
		opts = append(opts, tea.WithOutput(t.Out))
	}
	if t.Env != nil {
		opts = append(opts, tea.WithEnvironment(t.Env))
	}
	if t.Width > 0 && t.Height > 0 {
		opts = append(opts, tea.WithWindowSize(t.Width, t.Height))
	}
	return opts
}

// Run shows the screen until the person leaves it (nil) or ctx is done (nil as
// well). Everything that it began has ended when it returns.
func Run(ctx context.Context, opt Options, term Terminal) error {
	ctx, cancel := context.WithCancel(ctx)
	m := New(ctx, opt)
	p := tea.NewProgram(m, term.options(ctx)...)
	var watch sync.WaitGroup
	watch.Go(func() { opt.Source.Watch(ctx, func(s client.Snapshot) { p.Send(snapshotMsg(s)) }) })
	_, err := p.Run()
	ended := ctx.Err() != nil
	cancel()
	watch.Wait()
	m.tasks.wait()
	if ended && errors.Is(err, tea.ErrProgramKilled) && !errors.Is(err, tea.ErrProgramPanic) {
		return nil
	}
	return err
}
