package main

import (
	"errors"
	"fmt"

	"linefit/modem/apdu"
	"linefit/modem/rsp"
)

func viewDownload(r *rsp.Result, err error) euiccDownload {
	out := euiccDownload{
		OK: err == nil, EID: r.Detail.EID, ICCID: r.ICCID, Provider: r.Metadata.Provider, Name: r.Metadata.Name, TransactionID: r.Detail.TransactionID,
		PackageBytes: r.Detail.PackageBytes, Outcome: rsp.Installed, Verified: r.Proof.Result, RoundTrips: r.RoundTrips, BlockSize: r.BlockSize, Steps: map[string]float64{},
	}
	for _, t := range r.Timings {
		out.Steps[t.Step] += t.Took.Seconds()
	}
	if r.Installation != nil {
		out.AID = fmt.Sprintf("%X", r.Installation.AID)
		out.Notification = deliveryText(r.Delivery)
	}
	var f *rsp.Failure
	if errors.As(err, &f) {
		out.Outcome, out.Error, out.Row, out.Code, out.Advice = rsp.Absent, f.Error(), f.Advice.Row, f.Advice.Code, f.Advice.Text
		if text := advice(err); f.Advice.Row == rsp.RowNone && text != "" {
			out.Advice = "nothing was changed: " + text
		}
		if r.ShortBlocks && r.BlockSize > rsp.ShortBlock {
			out.Advice = fmt.Sprintf("the module does not take blocks of %d bytes: try --block %d; %s", r.BlockSize, rsp.ShortBlock, out.Advice)
		}
		if f.Unknown {
			out.Outcome = rsp.Unknown
		}
	}
	return out
}

func deliveryText(d rsp.Delivery) string {
	switch {
	case d.Sent && d.Removed:
		return "delivered"
	case d.Sent:
		return "delivered, still on the eUICC"
	}
	return "still on the eUICC"
}

func (c *euiccDownloadCmd) print(a *app, e *euiccCmd, out euiccDownload, err error) error {
	if e.JSON {
		return printJSON(a.stdout, out)
	}
	if !out.OK {
		row := ""
		if out.Row != rsp.RowNone {
			row = fmt.Sprintf("row %s: ", out.Row)
		}
		if out.Advice != "" {
			fmt.Fprintf(a.stderr, "%s%s; code: %s; outcome: %s\n", row, out.Advice, out.Code, out.Outcome)
		}
		return nil
	}
	fmt.Fprintf(a.stdout, "installed %s %s (%s)\n", out.ICCID, out.Name, out.Provider)
	fmt.Fprintf(a.stdout, "%d APDUs, %d round trips, %.2f s; notification %s\n", out.APDUs, out.RoundTrips, out.Seconds, out.Notification)
	return nil
}

func codeOf(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitInternal
}

func unknownOutcome(err error) bool {
	var f *rsp.Failure
	if errors.As(err, &f) {
		return f.Unknown
	}
	return errors.Is(err, apdu.ErrUnknown)
}
