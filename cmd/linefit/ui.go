package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"linefit/station/people"
	"linefit/station/text"
	"linefit/ui"
	"linefit/ui/client"
)

// uiCmd is the operator's screen and what belongs to it.
type uiCmd struct {
	Show  uiShowCmd  `cmd:"" default:"withargs" help:"Show the running station on this terminal."`
	Sheet uiSheetCmd `cmd:"" help:"Print the command barcodes: slots, bins, abort, acknowledge, emergency stop, languages."`
}

// defaultSocket is where the daemon of a service listens.
const defaultSocket = "/run/linefit/linefit.sock"

// uiShowCmd shows a running station; its end changes nothing there.
type uiShowCmd struct {
	Address   string `placeholder:"ADDR" env:"LINEFIT_ADDRESS" help:"The running station: unix:/path or http://host:port (default: --config's socket, else unix:/run/linefit/linefit.sock)."`
	Config    string `type:"path" placeholder:"FILE" help:"The station file; its socket is the address."`
	TokenFile string `type:"path" placeholder:"FILE" help:"Bearer token for an address over TCP."`
	Lang      string `placeholder:"LANG" help:"Language: en or zh (default: the locale's, else en)."`
	By        string `placeholder:"NAME" env:"LINEFIT_OPERATOR" help:"Name or badge of the person who works here; another one can be scanned. The log gets a pseudonym."`
	ASCII     bool   `name:"ascii" help:"Draw with ASCII signs only."`
}

// Run shows the screen until the person leaves it.
func (c *uiShowCmd) Run(a *app) error {
	lang, err := chosenLang(c.Lang)
	if err != nil {
		return err
	}
	if c.By != "" {
		if _, err := people.Fold(c.By); err != nil {
			return exit(exitUsage, fmt.Errorf("--by: %w", err))
		}
	}
	w := where{Address: c.Address, Config: c.Config, TokenFile: c.TokenFile}
	switch {
	case c.Address == "" && c.Config == "":
		w.Address = "unix:" + defaultSocket
	case c.Config != "":
		w.Address = ""
	}
	cl, err := w.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	if !onScreen(a) {
		return exit(exitMissing, errors.New("the screen needs a terminal; other programs use the API (GET /v1/stream)"))
	}
	return ui.Run(a.ctx, ui.Options{
		Source: cl, Lang: lang, Operator: c.By, ASCII: c.ASCII || !utf8Locale(),
	}, ui.Terminal{})
}

var _ ui.Source = (*client.Client)(nil)

// locale is the locale of messages, as in POSIX.
func locale() string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// utf8Locale reports whether the terminal draws UTF-8. Where no locale is set
// it most likely does.
func utf8Locale() bool {
	l := locale()
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			l = v
			break
		}
	}
	l = strings.ToLower(strings.ReplaceAll(l, "-", ""))
	return l == "" || strings.Contains(l, "utf8")
}

// chosenLang is the language that was asked for, else the locale's.
func chosenLang(asked string) (text.Lang, error) {
	if asked == "" {
		lang, _ := text.ParseLang(locale()) // English where there is no catalogue for it
		return lang, nil
	}
	lang, ok := text.ParseLang(asked)
	if !ok {
		return lang, exit(exitUsage, fmt.Errorf("--lang %q: one of %v", asked, text.Langs()))
	}
	return lang, nil
}

// uiSheetCmd prints the command barcodes.
type uiSheetCmd struct {
	Slots  int      `default:"16" help:"Number of slots, 1 to 64."`
	Config string   `type:"path" placeholder:"FILE" help:"The station file; it says how many slots there are."`
	Bins   []string `default:"RETEST,REWORK,HOLD,SCRAP" help:"Names of the bins."`
	Lang   string   `placeholder:"LANG" help:"Language of the labels: en or zh (default: the locale's, else en)."`
	Format string   `enum:"html,text" default:"html" help:"html: a page to print; text: for a terminal of 110 columns."`
	Out    string   `type:"path" placeholder:"FILE" help:"Where to write it (default: standard output)."`
}

// Run writes the sheet.
func (c *uiSheetCmd) Run(a *app) error {
	lang, err := chosenLang(c.Lang)
	if err != nil {
		return err
	}
	opt := ui.SheetOptions{Slots: c.Slots, Bins: c.Bins, Lang: lang}
	if c.Config != "" {
		cfg, err := loadConfig(c.Config)
		if err != nil {
			return err
		}
		opt.Slots = len(cfg.Slots)
	}
	write := ui.SheetHTML
	if c.Format == "text" {
		write = ui.SheetText
	}
	var b strings.Builder
	if err := write(&b, opt); err != nil {
		return exit(exitUsage, err)
	}
	if c.Out == "" {
		_, err := io.WriteString(a.stdout, b.String())
		return err
	}
	if err := os.WriteFile(c.Out, []byte(b.String()), 0o644); err != nil {
		return exit(exitMissing, err)
	}
	return nil
}
