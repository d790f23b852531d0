package recipe_test

import (
	"os"
	"path/filepath"
	"testing"

	"linefit/station/recipe"
)

func TestArchive(t *testing.T) {
	r, err := recipe.Load(shipped)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	open := func() *recipe.Archive {
		t.Helper()
		a, err := recipe.OpenArchive(dir)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if err := open().Keep(r); err != nil {
		t.Fatal(err)
	}
	back := open().Find(r.Digest())
	if back == nil || back.Digest() != r.Digest() || len(back.Steps) != len(r.Steps) {
		t.Fatalf("came back as %+v", back)
	}
	if open().Find("../"+r.Digest()) != nil || open().Find("") != nil {
		t.Error("a path was taken for a digest")
	}
	if err := os.WriteFile(filepath.Join(dir, r.Digest()+".json"), []byte(`{"Name":"other"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if open().Find(r.Digest()) != nil {
		t.Error("an edited recipe was taken")
	}
}
