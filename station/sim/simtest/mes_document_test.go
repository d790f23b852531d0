package simtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"linefit/station/mes"
	"linefit/station/mes/mestest"
	"linefit/station/sim/simtest"
	"linefit/station/stock"
)

// TestStationAndVirtualMESKeepToTheDocument: everything that the document has is
// asked by the station and answered by the virtual MES, as the document says.
// Every other test of a line looks too.
func TestStationAndVirtualMESKeepToTheDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2, MESCodes: true, WebhookOrigin: "st-1.plant.example"})
		pass(t, l, 1)
		l.Drain()
		c := mestest.Checked(l.World.MES().RoundTripper())
		other, err := mes.NewClient(mes.ClientOptions{URL: "http://mes.test", Transport: c, RouteTimeout: time.Second, Origin: "test.example/other"})
		if err != nil {
			t.Fatal(err)
		}
		if ref, err := other.Claim(t.Context(), "ST-2", stock.ListClaim{Batches: []string{"B"}, Profiles: 1}); err != nil || ref == "" {
			t.Errorf("claim: %q, %v", ref, err)
		}
		if _, err := other.Anchor(t.Context()); err != nil {
			t.Error(err)
		}
		for _, what := range c.Problems() {
			t.Error(what)
		}
		for _, path := range []string{"POST /v1/stock/claims", "GET /v1/checkpoints"} {
			if c.Seen(path) != 1 {
				t.Errorf("%s was asked %d times", path, c.Seen(path))
			}
		}
		for _, path := range []string{"POST /v1/units/validate", "OPTIONS /v1/events", "POST /v1/events", "linefit.UnitsTested.v1", "linefit.ProfileSettled.v1"} {
			if l.MESSeen(path) == 0 {
				t.Errorf("%s was never asked", path)
			}
		}
	})
}
