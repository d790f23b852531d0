package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/station/text"
)

func TestUICommand(t *testing.T) {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LC_CTYPE", "LANG", "LINEFIT_ADDRESS", "LINEFIT_OPERATOR"} {
		t.Setenv(name, "")
	}
	out := filepath.Join(t.TempDir(), "sheet.html")
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string // is in it
		stderr string
	}{
		{"no terminal", []string{"ui", "--address", "unix:/nowhere"}, exitMissing, "", "terminal"},
		{"address", []string{"ui", "--address", "nowhere"}, exitUsage, "", "unix:/path"},
		{"language", []string{"ui", "--lang", "tlh"}, exitUsage, "", "en zh"},
		{"name", []string{"ui", "--by", "a\tb\x1b"}, exitUsage, "", "--by"},
		{"token file", []string{"ui", "--address", "http://127.0.0.1:1", "--token-file", "/nowhere/token"}, exitMissing, "", "no such file"},
		{"flag", []string{"ui", "--nonsense"}, exitUsage, "", "nonsense"},
		{"sheet", []string{"ui", "sheet", "--slots", "2", "--lang", "zh"}, exitOK, "工位 2", ""},
		{"sheet for a terminal", []string{"ui", "sheet", "--format", "text"}, exitOK, "LF:SLOT:16", ""},
		{"sheet in a file", []string{"ui", "sheet", "--out", out}, exitOK, "", ""},
		{"too many slots", []string{"ui", "sheet", "--slots", "65"}, exitUsage, "", "64"},
		{"bin", []string{"ui", "sheet", "--bins", "A B"}, exitUsage, "", "LF:BIN:A B"},
		{"station file", []string{"ui", "sheet", "--config", "/nowhere.yaml"}, exitUsage, "", "nowhere"},
		{"out", []string{"ui", "sheet", "--out", "/nowhere/x"}, exitMissing, "", "nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), c.args, strings.NewReader(""), &stdout, &stderr); code != c.code {
				t.Errorf("exit %d, want %d: %s", code, c.code, stderr.String())
			}
			if !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("stdout %.200q, stderr %q", stdout.String(), stderr.String())
			}
		})
	}
	if b, err := os.ReadFile(out); err != nil || !bytes.HasPrefix(b, []byte("<!DOCTYPE html>")) {
		t.Errorf("%.40q %v", b, err)
	}
}

func TestLocale(t *testing.T) {
	for _, c := range []struct {
		all, messages, ctype, lang string
		want                       text.Lang
		utf8                       bool
	}{
		{"", "", "", "", "en", true}, {"", "", "", "zh_CN.UTF-8", "zh", true}, {"C", "", "", "zh_CN.UTF-8", "en", false},
		{"", "zh_CN", "en_US.utf8", "", "zh", true}, {"", "", "", "de_DE.ISO-8859-1", "en", false}, {"C.UTF-8", "", "", "", "en", true},
	} {
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_MESSAGES", c.messages)
		t.Setenv("LC_CTYPE", c.ctype)
		t.Setenv("LANG", c.lang)
		got, err := chosenLang("")
		if err != nil || got != c.want || utf8Locale() != c.utf8 {
			t.Errorf("%+v: %s, UTF-8 %t, %v", c, got, utf8Locale(), err)
		}
	}
}
