package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/testpki"
)

// simCards are the flags that say what virtual eUICCs are like.
type simCards struct {
	PKI        string        `name:"pki" placeholder:"DIR" help:"Folder of certificates instead of linefit's own test CA: ci*.der eum.der euicc.der and euicc-key.pem or euicc.d.hex; more than one card needs the EUM's key too."`
	CardDelay  time.Duration `help:"Time that the card takes for each APDU."`
	Install    time.Duration `placeholder:"DURATION" help:"Time that the card takes for the last block of an installation."`
	Direct     bool          `negatable:"" default:"true" help:"A command with an Le is answered at once, as where the module fetches for T=0; otherwise with 61xx."`
	CardMemory int           `default:"0" help:"Free bytes of a new card; 0: 512 KiB."`
	Generation string        `default:"sgp22" enum:"sgp22,sgp32,sgp02" help:"What the cards speak: sgp22, sgp32 or sgp02."`
	Channels   int           `default:"5" placeholder:"N" help:"Logical channels of a card with the basic one, 2 to 20."`
	OneTime    int           `name:"one-time-keys" placeholder:"N" help:"In-factory one-time keys with which each new card is delivered (SGP.41)."`
}

// maker reads the certificates, and says what is wrong with the flags.
func (c *simCards) maker() (*testpki.CardMaker, error) {
	var errs []error
	if min(c.CardDelay, c.Install) < 0 || min(c.CardMemory, c.OneTime) < 0 {
		errs = append(errs, errors.New("--card-delay, --card-memory, --install and --one-time-keys are not negative"))
	}
	if c.Channels < 2 || c.Channels > 20 {
		errs = append(errs, errors.New("--channels is 2 to 20"))
	}
	m, err := c.certificates()
	return m, errors.Join(append(errs, err)...)
}

func (c *simCards) certificates() (*testpki.CardMaker, error) {
	if c.PKI != "" {
		return testpki.LoadCard(c.PKI)
	}
	ca, err := simAuthority()
	if err != nil {
		return nil, err
	}
	return ca.CardMaker(), nil
}

// card makes the eUICC of a slot. The first one of given certificates is the
// one that they name. Its memory is kept in the folder state, if there is one.
func (c *simCards) card(slot int, seed uint64, state string, maker *testpki.CardMaker) (*euiccsim.Card, error) {
	eid, err := ident.EID(""), error(nil)
	if maker.Given == nil || slot > 1 {
		prefix := maker.Prefix()
		number := seed%1_000_000*1_000_000 + uint64(slot)
		if eid, err = ident.EIDWithCheck(fmt.Sprintf("%s%0*d", prefix, 30-len(prefix), number)); err != nil {
			return nil, exit(exitUsage, err)
		}
	}
	pki, err := maker.Card(eid)
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	o := euiccsim.Options{
		PKI: pki, Image: &euiccsim.MemoryImage{}, Generation: euiccsim.Generation(c.Generation), FreeNVM: c.CardMemory, OneTimeKeys: c.OneTime, Channels: c.Channels,
		Clock: time.Now, Delays: euiccsim.Delays{APDU: c.CardDelay, Install: c.Install}, Direct: c.Direct,
	}
	if state != "" {
		o.Image = euiccsim.FileImage(filepath.Join(state, fmt.Sprintf("slot%d.card", slot)))
	}
	card, err := euiccsim.New(o)
	if err != nil {
		code := exitUsage
		var path *fs.PathError
		if errors.As(err, &path) {
			code = fileCode(err)
		}
		return nil, exit(code, fmt.Errorf("slot %d: %w", slot, err))
	}
	return card, nil
}

// simFolders makes the folders that a virtual part writes into, "" being none,
// and locks the first one, where its state lies.
func simFolders(state string, others ...string) (unlock func(), err error) {
	for _, dir := range append([]string{state}, others...) {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, exit(fileCode(err), err)
		}
	}
	if state == "" {
		return func() {}, nil
	}
	f, err := lockFile(filepath.Join(state, "lock"))
	if err != nil {
		return nil, exit(fileCode(err), fmt.Errorf("--state %s: %w", state, err))
	}
	return func() { _ = f.Close() }, nil
}
