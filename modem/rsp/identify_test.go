package rsp_test

import (
	"context"
	"errors"
	"testing"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/euiccsim"
)

// What an eUICC is, is told by itself and not by a refusal: a consumer one that was
// not told of an LPA refuses what an M2M one does not know, both with 6985.
func TestIdentifyCards(t *testing.T) {
	for name, c := range map[string]struct {
		card func(*euiccsim.Options)
		told bool // of an LPA
		want euicc.Generation
		err  error
	}{
		"consumer":   {func(*euiccsim.Options) {}, false, euicc.SGP22, nil},
		"in-factory": {func(o *euiccsim.Options) { o.OneTimeKeys = 1 }, false, euicc.SGP22, nil},
		"IoT":        {func(o *euiccsim.Options) { o.Generation = euiccsim.SGP32 }, false, euicc.SGP32, nil},
		"M2M":        {func(o *euiccsim.Options) { o.Generation = euiccsim.SGP02 }, false, euicc.SGP02, nil},
		"shut":       {func(o *euiccsim.Options) { o.NeedCapability = true }, false, "", euicc.ErrShut},
		"IoT, shut":  {func(o *euiccsim.Options) { o.NeedCapability, o.Generation = true, euiccsim.SGP32 }, false, "", euicc.ErrShut},
		"told":       {func(o *euiccsim.Options) { o.NeedCapability = true }, true, euicc.SGP22, nil},
		"M2M, told":  {func(o *euiccsim.Options) { o.Generation = euiccsim.SGP02 }, true, euicc.SGP02, nil},
	} {
		w := newWorld(t, options{order: small, card: c.card})
		id, err := euicc.Identify(t.Context(), func(ctx context.Context, aid []byte) (euicc.Channel, error) {
			return apdu.OpenDirect(ctx, w.line, aid, apdu.Options{}, apdu.Route{TerminalCapability: c.told})
		}, euicc.Options{})
		if id.Generation != c.want || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}
