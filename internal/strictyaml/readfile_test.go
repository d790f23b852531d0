package strictyaml_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"linefit/internal/strictyaml"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := strictyaml.ReadFile(file, 10); err != nil || string(data) != "0123456789" {
		t.Errorf("%q, %v", data, err)
	}
	for name, c := range map[string]struct {
		path string
		want error
	}{
		"too large": {file, strictyaml.ErrTooLarge},
		"a folder":  {dir, strictyaml.ErrNoFile},
		"a device":  {os.DevNull, strictyaml.ErrNoFile},
		"nothing":   {filepath.Join(dir, "none"), fs.ErrNotExist},
	} {
		_, err := strictyaml.ReadFile(c.path, 9)
		var path *fs.PathError
		if !errors.Is(err, c.want) || !errors.As(err, &path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSpreadsheet(t *testing.T) {
	for name, c := range map[string]struct {
		in, out   string
		separator rune
	}{
		"commas":             {"a,b\n1,2\n", "a,b\n1,2\n", ','},
		"BOM, semicolons":    {"\xef\xbb\xbfa;b\r\n1;2\r\n", "a;b\r\n1;2\r\n", ';'},
		"CR alone":           {"a\tb\r1\t2\r", "a\tb\n1\t2\n", '\t'},
		"separator is said":  {"sep=;\r\na,x;b\r\n", "\na,x;b\r\n", ';'},
		"no separator":       {"sep=x\na,b\n", "sep=x\na,b\n", ','},
		"one column":         {"eid\n1\n", "eid\n1\n", ','},
		"nothing but a line": {"sep=;", "sep=;", ';'},
		"empty":              {"", "", ','},
	} {
		out, separator := strictyaml.Spreadsheet([]byte(c.in))
		if string(out) != c.out || separator != c.separator {
			t.Errorf("%s: %q, %q", name, out, separator)
		}
	}
}
