package station_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"linefit/station"
)

var update = flag.Bool("update", false, "write golden files that are missing")

// TestGoldenFacts holds every fact type that was ever shipped to its bytes: a
// published type never changes. A new version is a new file; no file is ever
// edited or removed.
func TestGoldenFacts(t *testing.T) {
	for _, name := range station.FactTypes() {
		file := filepath.Join("testdata", "facts", strings.ReplaceAll(name, "/", "-")+".json")
		empty, err := station.Decode(name, []byte("{}"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v := reflect.New(reflect.TypeOf(empty)).Elem()
		fill(v, "x")
		_, got, err := station.Encode(v.Interface().(station.Fact))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := os.ReadFile(file)
		if os.IsNotExist(err) && *update {
			if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s has no golden entry: %v (make it with -update)", name, err)
			continue
		}
		if !bytes.Equal(append(got, '\n'), want) {
			t.Errorf("%s has changed:\n got %s\nwant %s", name, got, want)
		}
		if back, err := station.Decode(name, want); err != nil || !reflect.DeepEqual(back, v.Interface()) {
			t.Errorf("%s does not come back: %v", name, err)
		}
	}
}

func TestEveryGoldenFactIsKnown(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "facts", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden facts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		i := strings.LastIndexByte(name, '-')
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := station.Decode(name[:i]+"/"+name[i+1:], data); err != nil {
			t.Errorf("%s cannot be read any more: %v", file, err)
		}
	}
}

// fill gives every field a value that its name tells.
func fill(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(name)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), name)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), strings.ToLower(v.Type().Field(i).Name))
		}
	default:
		panic("facts are strings, integers, lists and structs; not " + v.Kind().String())
	}
}
