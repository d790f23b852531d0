package ui

import (
	"reflect"

	tea "charm.land/bubbletea/v2"
)

// sequence unpacks what tea.Sequence gives: a slice type of its own.
func sequence(msg tea.Msg) ([]tea.Cmd, bool) {
	v := reflect.ValueOf(msg)
	if v.Kind() != reflect.Slice || v.Type().Elem() != reflect.TypeFor[tea.Cmd]() {
		return nil, false
	}
	var cmds []tea.Cmd
	for i := range v.Len() {
		cmds = append(cmds, v.Index(i).Interface().(tea.Cmd))
	}
	return cmds, true
}
