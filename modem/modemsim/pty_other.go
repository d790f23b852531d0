//go:build !linux

package modemsim

import "errors"

// ptyPair is both ends of a pseudo terminal.
type ptyPair struct{ path string }

func openPTY(int) (*ptyPair, error) {
	return nil, errors.New("virtual modules on pseudo terminals need Linux")
}

func (p *ptyPair) Read([]byte) (int, error)  { return 0, errors.ErrUnsupported }
func (p *ptyPair) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }
func (p *ptyPair) Close() error              { return nil }
func (p *ptyPair) speed() int                { return 0 }
