package euicc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"linefit/modem/apdu"
	"linefit/modem/wire"
)

// Card is an ISD-R on an open channel.
type Card struct {
	t    apdu.Transmitter
	size int
	try  int  // a larger size that may work
	long bool // the larger size is being tried
	noLe bool
}

// Options are how STORE DATA is sent.
type Options struct {
	BlockSize int  // data bytes in one command, 1 to 255; 255 when 0
	TryBlock  int  // a larger size that may work (see [Card.TryLonger]); 0 for none
	OmitLe    bool // leave out Le, so that the card answers 61xx
}

// New makes a Card of a transmitter that returns whole responses.
func New(t apdu.Transmitter, opt Options) *Card {
	if opt.BlockSize <= 0 || opt.BlockSize > 255 {
		opt.BlockSize = 255
	}
	return &Card{t: t, size: opt.BlockSize, try: opt.TryBlock, noLe: opt.OmitLe}
}

// OnChannel makes a Card of a channel, with the block size of its route.
func OnChannel(c *apdu.Channel) *Card {
	r := c.Route()
	return New(c, Options{BlockSize: r.BlockSize, TryBlock: r.TryBlock, OmitLe: r.OmitLe})
}

// BlockSize is the number of data bytes in one STORE DATA command.
func (c *Card) BlockSize() int { return c.size }

// SetBlockSize changes it, for a module that refuses longer commands.
func (c *Card) SetBlockSize(n int) {
	if n >= 1 && n <= 255 {
		c.size, c.try, c.long = n, 0, false
	}
}

// tryLimit is the time for a block of a size that is being tried: a module that
// loses it says nothing, and a card only keeps it for now.
const tryLimit = 15 * time.Second

// TryLonger makes the next message go in the larger blocks of
// [Options.TryBlock], if there are any, and reports whether it does. The message
// should be one that changes nothing. Until a block of that size was taken,
// each has [tryLimit] for its answer. A failure says that the module does not
// take them: see [Card.Trying].
func (c *Card) TryLonger() bool {
	if c.try <= c.size || c.try > 255 {
		return false
	}
	c.size, c.long = c.try, true
	return true
}

// Trying reports whether a larger size was tried and no block of it was taken.
func (c *Card) Trying() bool { return c.long }

// Counters are the channel's, or zero when the transmitter does not count.
func (c *Card) Counters() apdu.Counters {
	if counting, ok := c.t.(interface{ Counters() apdu.Counters }); ok {
		return counting.Counters()
	}
	return apdu.Counters{}
}

// maxBlocks: P2 numbers blocks from 00 to FF.
const maxBlocks = 256

// ErrTooLarge refuses a message that does not fit in 256 blocks. Nothing was sent.
var ErrTooLarge = errors.New("message does not fit in 256 STORE DATA blocks")

// Do sends one ES10 request as a chain and returns the data of its last
// response, which the caller parses. It is the way to functions that have no
// method here.
func (c *Card) Do(ctx context.Context, function string, request []byte) ([]byte, error) {
	data, _, err := c.chain(ctx, function, request)
	return data, err
}

// chain returns the data that the card answered and the number of blocks that
// were handed to the transmitter. A block before the last one that is answered
// with data ends the chain: the card has stopped listening.
func (c *Card) chain(ctx context.Context, function string, message []byte) (data []byte, sent int, err error) {
	blocks := (len(message) + c.size - 1) / c.size
	if blocks == 0 || blocks > maxBlocks {
		return nil, 0, fmt.Errorf("%s: %w: %d bytes in blocks of %d", function, ErrTooLarge, len(message), c.size)
	}
	buf := make([]byte, 0, 6+c.size)
	for i := range blocks {
		buf = c.block(buf[:0], message, i, i == blocks-1)
		response, err := c.send(ctx, buf, i == blocks-1)
		if err != nil {
			if errors.Is(err, apdu.ErrUnknown) {
				sent++
			}
			return nil, sent, fmt.Errorf("%s, block %d of %d: %w", function, i+1, blocks, err)
		}
		sent++
		if len(response) < 2 {
			return nil, sent, &ResponseError{Function: function, Err: wire.ErrTruncated}
		}
		n := len(response) - 2
		if sw := wire.SW(response[n])<<8 | wire.SW(response[n+1]); !sw.OK() {
			return nil, sent, &StatusError{Function: function, SW: sw, Block: i, Blocks: blocks}
		}
		if n > 0 || i == blocks-1 {
			return response[:n:n], sent, nil
		}
	}
	return nil, sent, nil
}

// send is Transmit, under a deadline while the size of a block is being tried.
func (c *Card) send(ctx context.Context, block []byte, last bool) ([]byte, error) {
	if !c.long || last {
		return c.t.Transmit(ctx, block)
	}
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	response, err := c.t.Transmit(ctx, block)
	if err == nil && len(response) >= 2 && response[len(response)-2] == byte(wire.SWOK>>8) {
		c.long = false
	}
	return response, err
}

// block appends the i-th STORE DATA command of a chain (SGP.22 section 5.7.2).
func (c *Card) block(b, message []byte, i int, last bool) []byte {
	part := message[i*c.size : min((i+1)*c.size, len(message))]
	p1 := byte(0x11)
	if last {
		p1 = 0x91
	}
	b = append(b, 0x80, wire.InsStoreData, p1, byte(i), byte(len(part)))
	b = append(b, part...)
	if last && !c.noLe {
		b = append(b, 0)
	}
	return b
}

// call runs a function whose response has the outer tag want.
func (c *Card) call(ctx context.Context, function string, want wire.Tag, request []byte) (wire.Node, error) {
	data, err := c.Do(ctx, function, request)
	if err != nil {
		return wire.Node{}, err
	}
	n, err := wire.ParseTag(data, want)
	if err == nil {
		err = n.Check()
	}
	if err != nil {
		return wire.Node{}, &ResponseError{Function: function, Err: err}
	}
	return n, nil
}

// readAs is call for a function whose whole response is one value.
func readAs[T any](ctx context.Context, c *Card, function string, want wire.Tag, request []byte, parse func(wire.Node) (T, error)) (T, error) {
	var none T
	n, err := c.call(ctx, function, want, request)
	if err != nil {
		return none, err
	}
	v, err := parse(n)
	if err != nil {
		return none, &ResponseError{Function: function, Err: err}
	}
	return v, nil
}

// simple runs a function whose response is a result code under resultTag.
func (c *Card) simple(ctx context.Context, function string, names codes, request []byte, resultTag wire.Tag) error {
	tag, _, _, err := wire.ReadHeader(request)
	if err != nil {
		return err
	}
	n, err := c.call(ctx, function, tag, request)
	if err != nil {
		return err
	}
	return result(function, names, n, resultTag)
}

// result reads the code below n; 0 is success.
func result(function string, names codes, n wire.Node, path ...wire.Tag) error {
	found, err := n.Need(path...)
	if err != nil {
		return &ResponseError{Function: function, Err: err}
	}
	code, err := found.Int()
	if err != nil {
		return &ResponseError{Function: function, Err: err}
	}
	if code == 0 {
		return nil
	}
	return functionError(function, names, code)
}
