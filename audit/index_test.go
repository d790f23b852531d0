package audit_test

import (
	"fmt"
	"testing"

	"linefit/audit"
	"linefit/audit/audittest"
)

var slotIndex = audit.Index{ID: "slots/1", Terms: func(e audit.Entry) []string {
	if e.Unit == "" {
		return nil
	}
	return []string{fmt.Sprint("slot=", e.Slot), "unit=" + e.Unit}
}}

func TestIndexRefusesBadTerms(t *testing.T) {
	entries, _ := logOf(t, 1)
	for _, term := range []string{"", "a\x00b", string(make([]byte, 300))} {
		x := audit.Index{ID: "x/1", Terms: func(audit.Entry) []string { return []string{term} }}
		if err := audittest.Apply(x, &audittest.Memory{}, entries...); err == nil {
			t.Errorf("term %q was taken", term)
		}
	}
	var m audittest.Memory
	if err := audittest.Apply(slotIndex, &m, entries...); err != nil {
		t.Fatal(err)
	}
}
