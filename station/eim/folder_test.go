package eim_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/configs"
	"linefit/station/eim"
)

func TestLoadFolder(t *testing.T) {
	demo, err := configs.FS.ReadFile("eim/demo.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("acme.json", demo)
	write(".hidden", []byte("no"))
	list, err := eim.LoadFolder(dir)
	if err != nil || len(list) != 1 || len(list["acme"]) != 1 || list["acme"][0].ID != "eim.linefit.test" {
		t.Fatalf("%+v, %v", list, err)
	}
	write("acme.der", demo)
	write("bad.json", []byte(`{"eimId": 7}`))
	_, err = eim.LoadFolder(dir)
	for _, want := range []string{"bad.json:1:", `an order that names "acme" could mean`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if _, err := eim.LoadFolder(filepath.Join(dir, "gone")); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestPackages(t *testing.T) {
	dir := t.TempDir()
	const eid = "89049032123451234512345678901235"
	if _, found, err := eim.Packages(dir).Package(eid); found || err != nil {
		t.Errorf("%t, %v", found, err)
	}
	if err := os.WriteFile(filepath.Join(dir, eid+".der"), []byte{1, 2}, 0o600); err != nil {
		t.Fatal(err)
	}
	if raw, found, err := eim.Packages(dir).Package(eid); !found || err != nil || len(raw) != 2 {
		t.Errorf("%x, %t, %v", raw, found, err)
	}
}
