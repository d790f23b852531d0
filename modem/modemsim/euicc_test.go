package modemsim_test

import (
	"strings"
	"testing"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/modemsim"
	"linefit/modem/testpki"
)

// virtualEUICC is a real virtual eUICC that answers ES10 only to a terminal
// that said by TERMINAL CAPABILITY that it has an LPA.
func virtualEUICC(t *testing.T, image euiccsim.Image) *euiccsim.Card {
	t.Helper()
	ca, err := testpki.New([]byte("modemsim"))
	if err != nil {
		t.Fatal(err)
	}
	pki, err := ca.Card(ident.EID(fakeEID))
	if err != nil {
		t.Fatal(err)
	}
	card, err := euiccsim.New(euiccsim.Options{
		PKI: pki, Image: image, NeedCapability: true, Channels: 4, Delays: euiccsim.Delays{APDU: 10 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	return card
}

// TestWithEUICC: the module in front of a virtual eUICC, as an LPA sees it.
func TestWithEUICC(t *testing.T) {
	p := persona(t, "demo-eg25")
	inBubble(t, modemsim.Options{Persona: p, Card: virtualEUICC(t, &euiccsim.MemoryImage{})}, func(t *testing.T, h *host) {
		h.online(p)
		h.want("AT+CPIN?", "+CME ERROR: 13") // nothing is enabled
		handle := h.open()
		if got := h.store(handle, getEID); got != `+CGLA: 4,"6115"|OK` {
			t.Errorf("GetEID: %q", got)
		}
		h.want(`AT+CGLA=`+handle+`,10,"81C0000015"`, `+CGLA: 46,"`+eidTLV+`9000"`, "OK")
		if got := h.store(handle, "BF2D00"); got != `+CGLA: 4,"6105"|OK` {
			t.Errorf("GetProfilesInfo: %q", got)
		}
		h.open()
		h.open()
		h.want(`AT+CCHO="`+isdrAID+`"`, "ERROR") // four channels are three to open
		h.want("AT+CCHC="+handle, "OK")
		h.open()
	})
	p.APDU.Channel.Fetch, p.APDU.Channel.Lower = true, true
	inBubble(t, modemsim.Options{Persona: p, Card: virtualEUICC(t, &euiccsim.MemoryImage{})}, func(t *testing.T, h *host) {
		h.online(p)
		if got := h.store(h.open(), getEID); got != `+CGLA: 46,"`+strings.ToLower(eidTLV)+`9000"|OK` {
			t.Errorf("a module that fetches by itself: %q", got)
		}
	})
	f := persona(t, "fibocom-fm350")
	inBubble(t, modemsim.Options{Persona: f, Card: virtualEUICC(t, &euiccsim.MemoryImage{})}, func(t *testing.T, h *host) {
		h.online(f)
		h.want("AT+EID", "+EID: "+fakeEID, "OK")
	})
}

// TestCardTime: the card's modelled time and the module's own are charged, and
// a power cut in the middle ends the charge there.
func TestCardTime(t *testing.T) {
	p := noDelay(persona(t, "demo-eg25"))
	var charged meter
	inBubble(t, modemsim.Options{Persona: p, Card: virtualEUICC(t, &euiccsim.MemoryImage{}), Meter: &charged}, func(t *testing.T, h *host) {
		h.boot()
		handle := h.open()
		from := time.Now()
		h.store(handle, getEID)
		if got := charged.sum(t, from); got != 10*time.Millisecond {
			t.Errorf("charged %v", got)
		}
		from = time.Now()
		h.send(`AT+CGLA=` + handle + `,22,"81E2910006` + getEID + `"` + "\r")
		time.Sleep(4 * time.Millisecond)
		h.m.PowerOff()
		if got := charged.sum(t, from); got != 4*time.Millisecond {
			t.Errorf("charged %v until the cut", got)
		}
	})
}

// TestStatePersists: what the card committed before a cut is there afterwards,
// in another module on the same image.
func TestStatePersists(t *testing.T) {
	image := &euiccsim.MemoryImage{}
	p := persona(t, "demo-eg25")
	p.APDU.Channel.Fetch = true
	setAddress := "BF3F0B80096C6F63616C686F7374" // SetDefaultDpAddress localhost
	inBubble(t, modemsim.Options{Persona: p, Card: virtualEUICC(t, image)}, func(t *testing.T, h *host) {
		h.online(p)
		h.store(h.open(), setAddress)
		h.m.PowerOff()
	})
	inBubble(t, modemsim.Options{Persona: p, Card: virtualEUICC(t, image)}, func(t *testing.T, h *host) {
		h.online(p)
		if got := h.store(h.open(), "BF3C00"); !strings.Contains(got, "80096C6F63616C686F7374") {
			t.Errorf("the address is lost: %q", got)
		}
	})
}
