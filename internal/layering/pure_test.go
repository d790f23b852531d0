// Package layering holds the rules of docs/architecture.md that an import list
// cannot say: pure packages read no clock and start no goroutine.
package layering

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pure are the packages whose result follows from their arguments alone.
var pure = []string{"station", "audit", "modem/ident", "modem/wire"}

// clock are the functions of package time that look at the world.
var clock = map[string]bool{"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "Tick": true, "NewTimer": true, "NewTicker": true}

func TestPurePackages(t *testing.T) {
	for _, pkg := range pure {
		dir := filepath.Join("..", "..", filepath.FromSlash(pkg))
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no files, %v", pkg, err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				checkFile(t, file)
			}
		}
	}
}

func checkFile(t *testing.T, file string) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%v: a pure package starts a goroutine", set.Position(n.Pos()))
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && id.Name == "time" && clock[n.Sel.Name] {
				t.Errorf("%v: a pure package reads the clock (time.%s)", set.Position(n.Pos()), n.Sel.Name)
			}
		}
		return true
	})
}

// TestTheCheckCanFail keeps the check honest.
func TestTheCheckCanFail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.go")
	if err := os.WriteFile(file, []byte("package x\nimport \"time\"\nfunc f() { go f(); _ = time.Now() }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	probe := &testing.T{}
	checkFile(probe, file)
	if !probe.Failed() {
		t.Error("a goroutine and a clock went unnoticed")
	}
}
