package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"linefit/internal/strictyaml"
	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
)

// simSmdpCmd serves, or prepares batches for in-factory provisioning.
type simSmdpCmd struct {
	Serve   simSmdpServeCmd   `cmd:"" default:"withargs" help:"Serve ES9+ over TLS until interrupted."`
	Prepare simSmdpPrepareCmd `cmd:"" help:"Bind profiles to in-factory one-time keys and write them as a batch (SGP.41)."`
	Report  simSmdpReportCmd  `cmd:"" help:"Take a loading report in, as the SM-DPf does: every result counts with its eUICC's signature only."`
}

// simSmdpServeCmd is the SM-DP+ as a process.
type simSmdpServeCmd struct {
	Listen   string        `default:"127.0.0.1:8443" placeholder:"HOST:PORT" help:"Where to listen; port 0 takes a free one. The address in activation codes is the same."`
	Name     string        `placeholder:"HOST" help:"Host name in activation codes, if it is not that of --listen."`
	Profiles string        `placeholder:"DIR" help:"Folder of unprotected profile packages (SAIP, *.der); without it some are generated."`
	Count    int           `default:"8" help:"How many profiles to generate without --profiles."`
	Orders   string        `placeholder:"FILE" help:"YAML file of orders with their rules, instead of one plain order per profile."`
	PKI      string        `name:"pki" placeholder:"DIR" help:"Folder of certificates instead of linefit's own test CA: ci.der ci.d.hex dpauth.der dpauth.d.hex dppb.der dppb.d.hex."`
	State    string        `placeholder:"FILE" help:"Keep the orders' states in this file."`
	Fault    []string      `placeholder:"POINT=KIND" help:"Fault on command: FUNCTION=KIND[:DETAIL][@ATTEMPT], such as getBoundProfilePackage=reply-lost."`
	Delay    time.Duration `help:"Time that every request takes."`
	JSON     bool          `name:"json" help:"One JSON line about what is offered; with --events JSON Lines."`
	Events   bool          `help:"Print every request. Whoever asks for this has to read it: a full pipe holds the server up."`
}

// simSmdpStart is the first line on stdout.
type simSmdpStart struct {
	URL      string           `json:"url"`
	CA       string           `json:"ca"`
	Address  string           `json:"address"`
	Profiles []simSmdpProfile `json:"profiles"`
}

// simSmdpProfile is an order as the line operator's side sees it. Test codes
// are shown in clear: that is what this command is for.
type simSmdpProfile struct {
	ICCID            string `json:"iccid"`
	MatchingID       string `json:"matching_id"`
	ActivationCode   string `json:"activation_code"`
	Order            string `json:"order"`
	State            string `json:"state"`
	EID              string `json:"eid,omitempty"`
	ConfirmationCode bool   `json:"confirmation_code,omitempty"`
}

// Run serves until the context ends.
func (c *simSmdpServeCmd) Run(a *app) error {
	fault, pki, orders, err := c.inputs()
	if err != nil {
		return exit(exitUsage, err)
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return exit(listenCode(err), err)
	}
	defer listener.Close()
	address, hosts := c.address(listener)
	cert, err := pki.TLS(hosts...)
	if err != nil {
		return exit(exitUsage, fmt.Errorf("%s: %w", c.PKI, err))
	}
	ca, remove, err := c.writeCA(pki)
	if err != nil {
		return exit(missingOrRefused(err), err)
	}
	defer remove()

	out := &simOutput{w: a.stdout, json: c.JSON}
	cfg := smdpsim.Config{
		Address: address, PKI: pki, State: c.State, Fault: fault, Operator: true,
		Delay: func(smdpsim.Point) time.Duration { return c.Delay },
	}
	if c.Events {
		cfg.Observe = out.event
	}
	s, err := smdpsim.New(cfg)
	if err != nil {
		return exit(missingOrRefused(err), err)
	}
	defer s.Close()
	if err := addOrders(s, orders); err != nil {
		return err
	}
	start, err := simStart(s, ca)
	if err != nil {
		return err
	}
	if err := out.start(start); err != nil {
		return err
	}
	return s.Serve(a.ctx, listener, cert)
}

// inputs reads everything that can be wrong before anything is started, and
// reports all mistakes at once.
func (c *simSmdpServeCmd) inputs() (func(smdpsim.FaultPoint) smdpsim.Fault, *testpki.Server, []smdpsim.Order, error) {
	var fault func(smdpsim.FaultPoint) smdpsim.Fault
	var errs []error
	if len(c.Fault) > 0 {
		var err error
		if fault, err = smdpsim.ParseFaults(c.Fault); err != nil {
			errs = append(errs, err)
		}
	}
	if c.Delay < 0 || c.Count < 0 || c.Count > 100_000 {
		errs = append(errs, errors.New("--delay and --count are not negative, --count is at most 100000"))
	}
	pki, err := c.certificates()
	if err != nil {
		errs = append(errs, err)
	}
	orders, err := c.orders()
	if err != nil {
		errs = append(errs, err)
	}
	return fault, pki, orders, errors.Join(errs...)
}

func (c *simSmdpServeCmd) certificates() (*testpki.Server, error) {
	if c.PKI != "" {
		return testpki.LoadServer(c.PKI)
	}
	ca, err := simAuthority()
	if err != nil {
		return nil, err
	}
	return ca.Server()
}

// address is the SM-DP+ address for what was bound, and the hosts of its
// certificate.
func (c *simSmdpServeCmd) address(l net.Listener) (address string, hosts []string) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil || host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	if c.Name != "" {
		host = c.Name
	}
	hosts = []string{"localhost", "127.0.0.1", "::1"}
	if host != hosts[0] && host != hosts[1] && host != hosts[2] {
		hosts = append(hosts, host)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil || port == "443" {
		return host, hosts
	}
	return net.JoinHostPort(host, port), hosts
}

// writeCA writes the CI certificate for clients: beside the state file, where
// it stays, or as a temporary file.
func (c *simSmdpServeCmd) writeCA(pki *testpki.Server) (path string, remove func(), err error) {
	if c.State != "" {
		path = c.State + ".ci.pem"
		return path, func() {}, os.WriteFile(path, pki.RootPEM(), 0o644) //nolint:gosec // a certificate is public
	}
	f, err := os.CreateTemp("", "linefit-ci-*.pem")
	if err != nil {
		return "", nil, err
	}
	_, err = f.Write(pki.RootPEM())
	return f.Name(), func() { _ = os.Remove(f.Name()) }, errors.Join(err, f.Close())
}

// addOrders takes orders in that the state file does not have yet.
func addOrders(s *smdpsim.Server, orders []smdpsim.Order) error {
	var errs []error
	for _, o := range orders {
		have, ok := s.Order(o.ID)
		if !ok {
			if _, err := s.AddOrder(o); err != nil {
				errs = append(errs, fmt.Errorf("order %s: %w", o.ID, err))
			}
			continue
		}
		if want, err := orderICCID(o); err != nil || want != have.ICCID {
			errs = append(errs, fmt.Errorf("order %s: the state file has another profile under this name (ICCID %s)", o.ID, have.ICCID))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return exit(exitUsage, err)
	}
	return nil
}

func simStart(s *smdpsim.Server, ca string) (*simSmdpStart, error) {
	start := &simSmdpStart{URL: "https://" + s.Address(), CA: ca, Address: s.Address(), Profiles: []simSmdpProfile{}}
	for _, o := range s.Orders() {
		code, matching, err := s.ActivationCode(o.ID)
		if err != nil {
			return nil, err
		}
		start.Profiles = append(start.Profiles, simSmdpProfile{
			ICCID: string(o.ICCID), MatchingID: matching.Reveal(), ActivationCode: code.Reveal(), Order: o.ID,
			State: string(o.State), EID: string(o.EID), ConfirmationCode: o.NeedsCode,
		})
	}
	return start, nil
}

// missingOrRefused is the exit code for a file that cannot be had or is not what
// it should be.
func missingOrRefused(err error) int {
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrPermission):
		return exitRefused
	case errors.Is(err, strictyaml.ErrNoFile), errors.Is(err, strictyaml.ErrTooLarge):
	case errors.Is(err, smdpsim.ErrBusy), errors.As(err, &path):
		return exitMissing
	}
	return exitUsage
}

// listenCode is the exit code for an address that cannot be listened on.
func listenCode(err error) int {
	var address *net.AddrError
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.EACCES):
		return exitRefused
	case errors.As(err, &address), errors.As(err, &name):
		return exitUsage
	}
	return exitMissing
}

// simOutput prints lines from many goroutines.
type simOutput struct {
	mu   sync.Mutex
	w    io.Writer
	json bool
}

func (o *simOutput) start(s *simSmdpStart) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.json {
		return printJSON(o.w, s)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "SM-DP+ %s, trust %s\n", s.URL, s.CA)
	for _, p := range s.Profiles {
		fmt.Fprintf(&text, "%s  %-11s %s\n", p.ICCID, p.State, p.ActivationCode)
	}
	_, err := io.WriteString(o.w, text.String())
	return err
}

// event prints one request. A reader that is gone is no reason to stop serving.
func (o *simOutput) event(e smdpsim.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.json {
		_ = printJSON(o.w, e)
		return
	}
	fmt.Fprintf(o.w, "%s %s %s order %q eid %q %s->%s %s %s\n", e.At.Format(time.TimeOnly), e.Point, e.Status, e.Order, e.EID, e.From, e.To, e.Fault, e.Detail)
}
