package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"linefit/station/stock"
	"linefit/station/text"
)

type profilesAlarmsCmd struct {
	where
	who
	End string `placeholder:"ID" help:"End this alarm: a lead has found out what it was about."`
	Why string `help:"With --end: what was found; it stands in the log."`
	All bool   `help:"Show those that were ended too."`
}

// Run lists the alarms about the stock, or ends one. With an open one it ends 1.
func (c *profilesAlarmsCmd) Run(a *app) error {
	if c.End != "" && c.Why == "" {
		return exit(exitUsage, errors.New("--why is missing: what was found stands in the log"))
	}
	return c.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		if c.End != "" {
			by, err := c.person()
			if err != nil {
				return err
			}
			if err := r.endAlarm(ctx, by, c.End, c.Why); err != nil {
				return err
			}
		}
		alarms, err := r.alarms(ctx, c.All)
		if err != nil {
			return err
		}
		if c.JSON {
			err = printJSON(a.stdout, map[string]any{"alarms": append([]stock.Alarm{}, alarms...)})
		} else {
			printAlarms(a, alarms)
		}
		for _, alarm := range alarms {
			if alarm.Open && err == nil {
				return exit(exitVerdict, nil)
			}
		}
		return err
	})
}

func printAlarms(a *app, alarms []stock.Alarm) {
	if len(alarms) == 0 {
		fmt.Fprintln(a.stdout, "no alarm")
	}
	for _, alarm := range alarms {
		state := "ended"
		if alarm.Open {
			state = "OPEN"
		}
		fmt.Fprintf(a.stdout, "%s  %s  %s  profile %s  ICCID %s  EID %s\n  %s\n  evidence: %s\n  --end %s\n", state, alarm.At, alarm.Kind, orDash(alarm.Handle),
			orDash(string(alarm.ICCID)), orDash(string(alarm.EID)), text.Printable(alarm.Detail), text.Printable(strings.Join(append(alarm.Evidence, fmt.Sprintf("entry %d", alarm.Entry)), ", ")), text.Printable(alarm.ID))
	}
}
