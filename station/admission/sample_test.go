package admission_test

import (
	"strings"
	"testing"

	"linefit/station"
	"linefit/station/admission"
)

func TestReferenceUnitsComeFromTheListOnly(t *testing.T) {
	list, err := admission.ParseUnits("units.csv", strings.NewReader("serial,imei,sample\nGOLD1,867886040000014,golden\nBAD1,867886040000212,failing\nSN1,356741080000028,\n"))
	if err != nil {
		t.Fatal(err)
	}
	for serial, want := range map[station.Serial]string{"GOLD1": station.SampleGolden, "BAD1": station.SampleFailing, "SN1": ""} {
		if e, known := list.Expect(serial); !known || e.Sample != want {
			t.Errorf("%s: %+v, %t", serial, e, known)
		}
	}
	_, err = admission.ParseUnits("units.csv", strings.NewReader("serial,imei,sample,colour\nGOLD1,867886040000014,gold,red\n"))
	if err == nil || !strings.Contains(err.Error(), `units.csv:2:3: sample is "gold"`) || strings.Contains(err.Error(), "red") {
		t.Errorf("%v", err)
	}
}
