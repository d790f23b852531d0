package station

import (
	"strconv"
	"strings"

	"linefit/modem/ident"
)

// BarcodePrefix begins every command barcode; no unit's serial may begin with it.
const BarcodePrefix = "LF:"

// Verbs of command barcodes: LF:<verb> or LF:<verb>:<argument>.
const (
	VerbSlot     = "SLOT" // the next unit goes to this slot
	VerbBin      = "BIN"  // the unit goes into this bin
	VerbAck      = "ACK"
	VerbAbort    = "ABORT"
	VerbHalt     = "HALT" // emergency stop
	VerbResume   = "RESUME"
	VerbClear    = "CLEAR"
	VerbEnable   = "ENABLE"
	VerbDisable  = "DISABLE"
	VerbOperator = "OP"
	VerbLanguage = "LANG"
	VerbView     = "VIEW" // UI only: slots, rework, log, help
)

// Barcode is what a scanner read.
type Barcode struct {
	Verb   string // empty for a unit label
	Arg    string
	Slot   int // of the verbs that name one
	Unit   Serial
	Expect Expect // what the label says beside the serial
}

// slotVerbs take a slot number, which may be missing where the screen has
// another way to know the slot.
var slotVerbs = map[string]bool{VerbSlot: true, VerbAck: true, VerbAbort: true, VerbClear: true, VerbEnable: true, VerbDisable: true}

// textVerbs take an argument.
var textVerbs = map[string]bool{VerbBin: true, VerbOperator: true, VerbLanguage: true, VerbView: true}

var plainVerbs = map[string]bool{VerbHalt: true, VerbResume: true}

// ParseBarcode reads a command barcode or a unit label. A label is the serial
// alone, or fields separated by semicolons: the serial (with or without SN=),
// IMEI=, EID=. The error is a *Refusal that repeats nothing of the text.
func ParseBarcode(text string) (Barcode, error) {
	text = strings.TrimSpace(text)
	if len(text) > 512 {
		return Barcode{}, Refuse(ScanInvalid, "%d characters", len(text))
	}
	if len(text) >= 4 && strings.EqualFold(text[:4], "LPA:") { // a secret: it becomes no serial
		return Barcode{}, Refuse(ScanInvalid, "an activation code; profiles come from the stock")
	}
	if n := len(BarcodePrefix); len(text) >= n && strings.EqualFold(text[:n], BarcodePrefix) {
		return parseCommand(text[n:])
	}
	return parseLabel(text)
}

func parseCommand(text string) (Barcode, error) {
	verb, arg, _ := strings.Cut(text, ":")
	verb = strings.ToUpper(verb) // a scanner may be set to small letters, or Caps Lock be on
	if verb == VerbLanguage || verb == VerbView {
		arg = strings.ToLower(arg)
	}
	b := Barcode{Verb: verb, Arg: arg}
	switch {
	case slotVerbs[verb]:
		if arg == "" && verb != VerbSlot {
			return b, nil
		}
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 || n > 64 {
			return Barcode{}, Refuse(ScanInvalid, "command %s needs a slot from 1 to 64", verb)
		}
		b.Slot = n
		return b, nil
	case textVerbs[verb]:
		if _, err := ParseSerial(arg); err != nil {
			return Barcode{}, Refuse(ScanInvalid, "command %s needs a text of 1 to 64 characters", verb)
		}
		return b, nil
	case plainVerbs[verb] && arg == "":
		return b, nil
	}
	return Barcode{}, Refuse(ScanInvalid, "no command barcode of linefit")
}

func parseLabel(text string) (Barcode, error) {
	var b Barcode
	for i, field := range strings.Split(text, ";") {
		key, value, named := strings.Cut(strings.TrimSpace(field), "=")
		var err error
		switch {
		case !named && i == 0:
			b.Unit, err = ParseSerial(key)
		case key == "SN" && b.Unit == "":
			b.Unit, err = ParseSerial(value)
		case key == "IMEI" && b.Expect.IMEI == "":
			b.Expect.IMEI, err = ident.ParseIMEI(value)
		case key == "EID" && b.Expect.EID == "":
			b.Expect.EID, err = ident.ParseEID(value)
		default:
			return Barcode{}, Refuse(ScanInvalid, "field %d of the label is not known or stands twice", i+1)
		}
		if err != nil {
			return Barcode{}, Refuse(ScanInvalid, "field %d of the label: wrong length, digits or check digits", i+1)
		}
	}
	if b.Unit == "" {
		return Barcode{}, Refuse(ScanInvalid, "the label has no serial number")
	}
	if b.Expect.IMEI != "" || b.Expect.EID != "" {
		b.Expect.Source = "label"
	}
	return b, nil
}
