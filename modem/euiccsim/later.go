package euiccsim

import "linefit/modem/wire"

type oneTimeKey struct{}
type eimState struct{}

func (e *eimState) clone() *eimState                                      { return e }
func newEIMState() *eimState                                              { return nil }
func newOneTimeKeys(int) ([]oneTimeKey, error)                            { return nil, nil }
func (c *Card) factoryGate() bool                                         { return false }
func (c *Card) iotInfo() [][]byte                                         { return nil }
func iotStandardTag(wire.Tag) bool                                        { return false }
func (c *Card) iotProfileInfo(*profile, func(wire.Tag, bool) bool) []byte { return nil }
func (c *Card) iotReset([]int) bool                                       { return false }
func (c *Card) iotResetCommit(*memory, []int)                             {}

func (e *eimState) ids() []string { return nil }

func (c *Card) loaded(*loader)             {}
func (m *memory) spend(*session)           {}
func (c *Card) sessionFor([]byte) *session { return c.card.session }
