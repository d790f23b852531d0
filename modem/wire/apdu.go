package wire

import (
	"errors"
	"fmt"
)

// Application identifiers (SGP.02 annex H, SGP.22 annex F).
var (
	AIDISDR  = []byte{0xA0, 0x00, 0x00, 0x05, 0x59, 0x10, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x89, 0x00, 0x00, 0x01, 0x00}
	AIDECASD = []byte{0xA0, 0x00, 0x00, 0x05, 0x59, 0x10, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x89, 0x00, 0x00, 0x02, 0x00}
)

// Instruction bytes used on this interface (ISO/IEC 7816-4, ETSI TS 102 221).
const (
	InsManageChannel      = 0x70
	InsSelect             = 0xA4
	InsReadBinary         = 0xB0
	InsTerminalCapability = 0xAA
	InsGetResponse        = 0xC0
	InsGetData            = 0xCA
	InsStoreData          = 0xE2
	InsStatus             = 0xF2
)

// Command is a short command APDU (ISO/IEC 7816-4 section 5.1): at most 255
// data bytes. Ne is the number of bytes expected: 0 none, 1 to 256.
type Command struct {
	CLA, INS, P1, P2 byte
	Data             []byte
	Ne               int
}

// ErrAPDU is the error of an APDU with an impossible shape.
var ErrAPDU = errors.New("not a short APDU")

// Append appends the command's bytes. A command with data and without Ne has
// no Le byte (case 3).
func (c Command) Append(b []byte) ([]byte, error) {
	if len(c.Data) > 255 || c.Ne < 0 || c.Ne > 256 {
		return nil, fmt.Errorf("%w: %d data bytes, Ne %d", ErrAPDU, len(c.Data), c.Ne)
	}
	b = append(b, c.CLA, c.INS, c.P1, c.P2)
	if len(c.Data) > 0 {
		b = append(append(b, byte(len(c.Data))), c.Data...)
	}
	if c.Ne > 0 {
		b = append(b, byte(c.Ne))
	}
	if len(c.Data) == 0 && c.Ne == 0 {
		b = append(b, 0) // case 1 travels as P3 = 00 on T=0
	}
	return b, nil
}

// ParseCommand reads a short command APDU of case 1 to 4. Data aliases b. A
// lone P3 = 00 is read as Ne = 256 (case 2); the receiver of a case 1 command
// ignores it.
func ParseCommand(b []byte) (Command, error) {
	if len(b) < 4 || len(b) > 261 {
		return Command{}, fmt.Errorf("%w: %d bytes", ErrAPDU, len(b))
	}
	c := Command{CLA: b[0], INS: b[1], P1: b[2], P2: b[3]}
	switch body := b[4:]; {
	case len(body) == 0:
	case len(body) == 1:
		c.Ne = ne(body[0])
	case len(body) == 1+int(body[0]) && body[0] != 0:
		c.Data = body[1:]
	case len(body) == 2+int(body[0]) && body[0] != 0:
		c.Data, c.Ne = body[1:len(body)-1], ne(body[len(body)-1])
	default:
		return Command{}, fmt.Errorf("%w: Lc %d with %d bytes behind it", ErrAPDU, body[0], len(body)-1)
	}
	return c, nil
}

func ne(le byte) int {
	if le == 0 {
		return 256
	}
	return int(le)
}

// SW is a status word.
type SW uint16

// Status words that have a meaning here (ISO/IEC 7816-4 section 5.6, ETSI TS
// 102 221 section 10.2.1, GlobalPlatform Card Specification section 11.11).
const (
	SWOK                     SW = 0x9000
	SWMemoryProblem          SW = 0x6581
	SWWrongLength            SW = 0x6700
	SWChannelNotSupported    SW = 0x6881
	SWSecurityStatus         SW = 0x6982
	SWConditionsNotSatisfied SW = 0x6985
	SWWrongData              SW = 0x6A80
	SWFunctionNotSupported   SW = 0x6A81
	SWFileNotFound           SW = 0x6A82
	SWNotEnoughMemory        SW = 0x6A84
	SWWrongP1P2              SW = 0x6A86
	SWDataNotFound           SW = 0x6A88
	SWInsNotSupported        SW = 0x6D00
	SWClaNotSupported        SW = 0x6E00
	SWTechnicalProblem       SW = 0x6F00
)

// OK reports success: 9000, or 91xx, which is success with a proactive command
// pending (ETSI TS 102 221 section 10.2.1.1).
func (s SW) OK() bool { return s == SWOK || s>>8 == 0x91 }

// More reports how many response bytes wait for GET RESPONSE (61xx), 1 to 256.
func (s SW) More() (int, bool) {
	if s>>8 != 0x61 {
		return 0, false
	}
	return ne(byte(s)), true
}

// WrongLe reports the right Ne of a command answered by 6Cxx, 1 to 256.
func (s SW) WrongLe() (int, bool) {
	if s>>8 != 0x6C {
		return 0, false
	}
	return ne(byte(s)), true
}

// String is the status word in hexadecimal.
func (s SW) String() string { return fmt.Sprintf("%04X", uint16(s)) }

// Append appends the two bytes.
func (s SW) Append(b []byte) []byte { return append(b, byte(s>>8), byte(s)) }

// Response is a response APDU. Data aliases what it was read from.
type Response struct {
	Data []byte
	SW   SW
}

// ParseResponse reads a response APDU of 2 to 258 bytes.
func ParseResponse(b []byte) (Response, error) {
	if len(b) < 2 || len(b) > 258 {
		return Response{}, fmt.Errorf("%w: response of %d bytes", ErrAPDU, len(b))
	}
	n := len(b) - 2
	return Response{Data: b[:n:n], SW: SW(b[n])<<8 | SW(b[n+1])}, nil
}

// ClassChannel puts a logical channel (0 to 19) into an interindustry or
// GlobalPlatform class byte (ISO/IEC 7816-4 section 5.4.1): bits 1 and 2 for
// channels 0 to 3, the further coding with bit 7 for 4 to 19.
func ClassChannel(cla byte, channel int) (byte, error) {
	switch {
	case channel >= 0 && channel <= 3:
		return cla&0xBC | byte(channel), nil
	case channel >= 4 && channel <= 19:
		return cla&0xB0 | 0x40 | byte(channel-4), nil
	}
	return 0, fmt.Errorf("%w: logical channel %d", ErrOutOfRange, channel)
}

// ChannelOf reads the logical channel out of a class byte.
func ChannelOf(cla byte) int {
	if cla&0x40 != 0 {
		return int(cla&0x0F) + 4
	}
	return int(cla & 0x03)
}
