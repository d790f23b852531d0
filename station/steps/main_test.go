package steps_test

import "errors"

var errNotAllowed = errors.New("not on the list")
