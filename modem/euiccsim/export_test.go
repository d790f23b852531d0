package euiccsim

import (
	"linefit/modem/euiccsim/saip"
	"linefit/modem/smdpsim/bsp"
)

// ContinueLoad puts a powered card behind an InitialiseSecureChannel that
// agreed on keys, for packages whose eUICC key is not known.
func ContinueLoad(c *Card, keys bsp.Keys, transactionID []byte, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.card.load = &loader{
		record:  loading{TransactionID: transactionID, Address: "smdp.example.com", DPOID: "2.999.10"},
		channel: bsp.New(keys), next: 0xA0, left: left, reader: saip.NewReader(c.free()),
	}
}
