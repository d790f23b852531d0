package modem

import (
	"context"

	"linefit/modem/apdu"
)

// Routes are the ways to the card, in order of preference, for apdu.Open with
// the [Module] as executor.
func (q *Quirks) Routes() []apdu.Route {
	kinds := map[string]apdu.Kind{RouteCGLA: apdu.CGLA, RouteCSIM: apdu.CSIM}
	classes := map[string]byte{"interindustry": 0x00, "proprietary": 0x80}
	routes := make([]apdu.Route, 0, len(q.APDU.Routes))
	for _, name := range q.APDU.Routes {
		r := apdu.Route{
			Kind: kinds[name], BlockSize: q.APDU.Block, TryBlock: q.APDU.Try, Unquoted: !q.APDU.Quoted,
			PatchCLA: q.APDU.ChannelBits == "host", GetResponseCLA: classes[q.APDU.GetResponse],
			OmitLe: q.APDU.OmitLe, TerminalCapability: q.APDU.TerminalCapability, MaxChannels: q.APDU.MaxChannels,
		}
		if r.Kind == apdu.CGLA {
			r.Deadlines = apdu.Deadlines{Open: q.Deadline("AT+CCHO"), Transmit: q.Deadline("AT+CGLA"), Close: q.Deadline("AT+CCHC")}
		} else {
			r.Deadlines = apdu.Deadlines{Open: q.Deadline("AT+CCHO"), Transmit: q.Deadline("AT+CSIM"), Close: q.Deadline("AT+CCHC")}
		}
		routes = append(routes, r)
	}
	return routes
}

// UnlockISDR takes the ISD-R away from a local profile assistant inside the
// module, where the family has one; if that takes a restart of the module, it
// returns when the card is no longer busy. It reports whether there was
// anything to do.
func (m *Module) UnlockISDR(ctx context.Context) (bool, error) {
	u := m.quirks.APDU.Unlock
	for _, text := range u.Commands {
		if err := m.command(ctx, text); err != nil {
			return true, err
		}
	}
	if len(u.Commands) == 0 || !u.Reset {
		return len(u.Commands) > 0, nil
	}
	if err := m.Reset(ctx); err != nil {
		return true, err
	}
	_, err := m.AwaitSIM(ctx)
	return true, err
}
