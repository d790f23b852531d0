package steps

import (
	"errors"
	"testing"

	"linefit/modem"
	"linefit/modem/rsp"
)

// What a module of a kind showed holds for all of that kind and firmware, and a
// size that was refused once stays refused.
func TestBlockSizes(t *testing.T) {
	var b blockSizes
	one := modem.Identity{Maker: "Acme", Model: "X1", Firmware: "1", IMEI: "350000100000017"}
	other, newer := one, one
	other.IMEI, newer.Firmware = "350000100000025", "2"
	want := func(what string, id modem.Identity, size int) {
		t.Helper()
		if got := b.of(id); got != size {
			t.Errorf("%s: %d, want %d", what, got, size)
		}
	}
	want("at first", one, 0)
	b.learn(one, &rsp.Result{BlockSize: 255}, errors.New("the server was silent"))
	want("after a failure elsewhere", one, 0)
	b.learn(one, &rsp.Result{BlockSize: 255}, nil)
	want("another unit", other, 255)
	want("another firmware", newer, 0)
	b.learn(other, &rsp.Result{BlockSize: 255, ShortBlocks: true}, errors.New("no answer"))
	want("refused", one, rsp.ShortBlock)
	b.learn(one, &rsp.Result{BlockSize: 255}, nil)
	want("refused once", other, rsp.ShortBlock)
}
