package euiccsim

import "linefit/modem/wire"

type loader struct{}
type loading struct{}
type retryKey struct{}
type oneTimeKey struct{}
type eimState struct{}
type fileSystem struct{}
type cursor struct{}

func (e *eimState) clone() *eimState                                      { return e }
func newEIMState() *eimState                                              { return nil }
func newOneTimeKeys(int) ([]oneTimeKey, error)                            { return nil, nil }
func openFileSystem(*profile) *fileSystem                                 { return nil }
func (c *Card) interrupted() error                                        { return nil }
func (c *Card) abandon() error                                            { return nil }
func (c *Card) factoryGate() bool                                         { return false }
func isSegment(wire.Tag) bool                                             { return false }
func (c *Card) loadSegment(wire.Tag, []byte) ([]byte, wire.SW)            { return nil, 0x6A88 }
func (c *Card) selectInProfile(*channel, wire.Command) ([]byte, wire.SW)  { return nil, 0x6A82 }
func (c *Card) status(*channel, wire.Command) ([]byte, wire.SW)           { return nil, c.ok() }
func (c *Card) readBinary(*channel, wire.Command) ([]byte, wire.SW)       { return nil, 0x6985 }
func (c *Card) readRecord(*channel, wire.Command) ([]byte, wire.SW)       { return nil, 0x6985 }
func (c *Card) verifyPIN(*channel, wire.Command) ([]byte, wire.SW)        { return nil, 0x6985 }
func (c *Card) iotInfo() [][]byte                                         { return nil }
func iotStandardTag(wire.Tag) bool                                        { return false }
func (c *Card) iotProfileInfo(*profile, func(wire.Tag, bool) bool) []byte { return nil }
func (c *Card) iotReset([]int) bool                                       { return false }
func (c *Card) iotResetCommit(*memory, []int)                             {}

func (e *eimState) ids() []string { return nil }
