package rdbparse_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rdbimport/rdbimport/"

// layers says which of the module's packages each part may import, tests left
// aside. A part is a top-level folder, or a folder named here.
var layers = map[string][]string{
	"rdbparse":             {"rdbparse/internal"},
	"rdbparse/internal":    {"rdbparse/internal"},
	"rdbparse/source":      {"rdbparse", "rdbparse/internal"},
	"rdbparse/element":     {"rdbparse", "rdbparse/internal"},
	"rdbparse/census":      {"rdbparse", "rdbparse/internal", "rdbparse/element"},
	"slotter":              {},
	"slotter/localcluster": {"slotter"},
	"pipeline":             {"rdbparse", "rdbparse/element", "slotter"},
	"bench":                {"bench", "bench/dataset", "bench/figure", "bench/floor", "rdbparse", "rdbparse/source", "rdbparse/element", "slotter", "slotter/localcluster", "pipeline"},
	"bench/dataset":        {},
	"bench/figure":         {},
	"bench/floor":          {"rdbparse", "slotter"},
	"cmd":                  {"rdbparse", "rdbparse/source", "rdbparse/element", "rdbparse/census", "slotter", "slotter/localcluster", "pipeline", "bench/dataset", "bench/figure", "bench/floor", "cmd"},
}

// outside says which modules only some parts may import.
var outside = map[string][]string{
	"github.com/redis/go-redis/v9": {"slotter", "slotter/localcluster", "pipeline", "cmd", "bench"},
	"github.com/spf13/cobra":       {"cmd"},
	"github.com/hdt3213/rdb":       {"cmd"},
	"net":                          {"slotter", "slotter/localcluster", "pipeline", "cmd", "bench", "bench/floor"},
}

// part returns the longest key of layers that holds a package.
func part(pkg string) string {
	best := ""
	for p := range layers {
		if (pkg == p || strings.HasPrefix(pkg, p+"/")) && len(p) > len(best) {
			best = p
		}
	}
	return best
}

// TestLayers keeps the packages from knowing what is not theirs to know.
func TestLayers(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(out); ; seen++ {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		here := strings.TrimPrefix(pkg.ImportPath, module)
		p := part(here)
		if p == "" {
			t.Errorf("%s belongs to no layer", here)
		}
		for _, imp := range pkg.Imports {
			checkImport(t, here, p, imp)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if seen < 8 {
		t.Errorf("only %d packages seen", seen)
	}
}

func checkImport(t *testing.T, here, p, imp string) {
	t.Helper()
	if own, ok := strings.CutPrefix(imp, module); ok {
		if q := part(own); q != p && !slices.Contains(layers[p], q) {
			t.Errorf("%s must not import %s", here, own)
		}
		return
	}
	for name, allowed := range outside {
		if (imp == name || strings.HasPrefix(imp, name+"/") && strings.Contains(name, ".")) && !slices.Contains(allowed, p) {
			t.Errorf("%s must not import %s", here, imp)
		}
	}
}
