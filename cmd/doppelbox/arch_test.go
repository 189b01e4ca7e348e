package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/doppelbox/doppelbox/"

// edges says which top-level folder may import which. A folder further down
// that is named has rules of its own.
var edges = map[string][]string{
	"policy":     {"policy"},
	"keys":       {},
	"dispatcher": {},
	// The probe forges tokens with keys and sends them with dispatcher.
	"dispatcher/probe": {"keys", "dispatcher"},
	"receiver":         {"policy", "receiver"},
	"scenarios":        {"policy", "keys", "receiver", "dispatcher", "scenarios"},
	"cmd":              {"policy", "keys", "receiver", "dispatcher", "scenarios", "cmd"},
}

// outside says which other modules may be used, and by which folders.
var outside = map[string][]string{
	"blitiri.com.ar/go/spf":              {"receiver/mailauth"},
	"github.com/alecthomas/kong":         {"cmd/doppelbox"},
	"github.com/emersion/go-imap/v2":     {"receiver/mailaccess"},
	"github.com/emersion/go-message":     {"policy/message", "receiver/mailaccess"},
	"github.com/emersion/go-smtp":        {"receiver/smtpserver", "scenarios/provider", "cmd/doppelbox"},
	"github.com/go-jose/go-jose/v4":      {"keys"},
	"github.com/miekg/dns":               {"receiver/dnszone"},
	"github.com/pires/go-proxyproto":     {"receiver/smtpserver"},
	"golang.org/x/net/html":              {"policy/markup", "scenarios/forwarding"},
	"golang.org/x/net/http/httpproxy":    {"cmd/doppelbox"},                    // What net/http makes of the proxy variables, of which it reads its own environment's only.
	"golang.org/x/net/http2":             {"dispatcher", "scenarios/provider"}, // Frames and HPACK; an exchange is one stream, read in turn.
	"golang.org/x/net/idna":              {"policy", "policy/message", "policy/registry", "receiver/mailauth", "scenarios", "dispatcher"},
	"golang.org/x/net/publicsuffix":      {"receiver/mailauth"},
	"golang.org/x/sys/unix":              {"cmd/doppelbox"},            // Whose terminal it is, which the standard library cannot tell.
	"golang.org/x/text":                  {"policy", "policy/message"}, // How characters look is decided on their normal forms.
	"golang.org/x/tools/txtar":           {"scenarios"},
	"software.sslmate.com/src/go-pkcs12": {"cmd/doppelbox"}, // Java reads authorities in this form only.
}

// banned are standard packages that only some folders may import. What is not
// named here is free.
var banned = []struct {
	path   string
	in     string   // The folder, with all below it, in which it is banned; "" is everywhere.
	except []string // Folders that may.
	why    string
}{
	{"net", "policy", nil, "policy does no I/O"},
	{"net/http", "policy", nil, "policy does no I/O"},
	{"os", "policy", nil, "policy does no I/O"},
	{"log", "policy", nil, "a verdict is data, and not a log"},
	{"log/slog", "policy", nil, "a verdict is data, and not a log"},
	{"context", "policy", nil, "nothing in policy waits"},
	{"testing", "", []string{"scenarios/providertest"}, "a program must not carry the test framework"},
	{"flag", "", []string{"cmd/doppelbox"}, "only the command reads flags"},
	{"os/signal", "", []string{"cmd/doppelbox"}, "only the command reads signals"},
	{"log", "", nil, "loggers are handed in, as *slog.Logger"},
	{"math/rand", "", nil, "nothing is random but keys and ids"},
	{"math/rand/v2", "", nil, "nothing is random but keys and ids"},
}

// bannedCalls are functions that only some folders may use.
var bannedCalls = []struct {
	pkg, name string
	in        string
	except    []string
	why       string
}{
	{"time", "Now", "policy", nil, "policy reads no clock"},
	{"time", "Sleep", "", nil, "nothing waits by sleeping"},
	{"os", "Getenv", "", []string{"cmd/doppelbox"}, "only the command reads the environment"},
	{"os", "LookupEnv", "", []string{"cmd/doppelbox"}, "only the command reads the environment"},
	{"os", "Environ", "", []string{"cmd/doppelbox"}, "only the command reads the environment"},
	{"os", "Exit", "", []string{"cmd/doppelbox"}, "only the command ends the process"},
}

// source is one file of the module that is no test.
type source struct {
	path, folder string
	file         *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	root := filepath.Join("..", "..")
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		list = append(list, source{path: filepath.ToSlash(rel), folder: filepath.ToSlash(filepath.Dir(rel)), file: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func within(folder, parent string) bool {
	return parent == "" || folder == parent || strings.HasPrefix(folder, parent+"/")
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		top, _, _ := strings.Cut(s.folder, "/")
		if edges[s.folder] != nil {
			top = s.folder
		}
		for _, spec := range s.file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if rest, ours := strings.CutPrefix(path, module); ours {
				target, _, _ := strings.Cut(rest, "/")
				if !slices.Contains(edges[top], target) {
					t.Errorf("%s imports %s: %s may import only %v", s.path, rest, top, edges[top])
				}
				continue
			}
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				checkOutside(t, s, path)
				continue
			}
			for _, b := range banned {
				if b.path == path && within(s.folder, b.in) && !slices.Contains(b.except, s.folder) {
					t.Errorf("%s imports %s: %s", s.path, path, b.why)
				}
			}
		}
	}
}

func checkOutside(t *testing.T, s source, path string) {
	t.Helper()
	for prefix, folders := range outside {
		if within(path, prefix) {
			if !slices.Contains(folders, s.folder) {
				t.Errorf("%s imports %s, which only %v may", s.path, path, folders)
			}
			return
		}
	}
	t.Errorf("%s imports %s, which is not listed", s.path, path)
}

func TestCalls(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok || pkg.Obj != nil {
				return true
			}
			for _, b := range bannedCalls {
				if b.pkg == pkg.Name && b.name == sel.Sel.Name && within(s.folder, b.in) && !slices.Contains(b.except, s.folder) {
					t.Errorf("%s uses %s.%s: %s", s.path, b.pkg, b.name, b.why)
				}
			}
			return true
		})
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	comments := map[string][]string{}
	for _, s := range sources(t) {
		comments[s.folder] = append(comments[s.folder], nil...)
		if s.file.Doc == nil {
			continue
		}
		comments[s.folder] = append(comments[s.folder], s.path)
		want := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(s.file.Doc.Text(), want) {
			t.Errorf("%s: the package comment does not begin with %q", s.path, want)
		}
	}
	for folder, files := range comments {
		if len(files) != 1 {
			t.Errorf("%s has %d package comments: %v", folder, len(files), files)
		}
	}
}

// TestPackageState holds that packages have no state: a variable of a package
// is an error, a table of constants, a compiled expression, or an embedded
// file.
func TestPackageState(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, decl := range s.file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				v := spec.(*ast.ValueSpec)
				if v.Names[0].Name == "_" || embedded(gen, v) {
					continue
				}
				if len(v.Values) == 0 || !slices.ContainsFunc(v.Values, constant) {
					t.Errorf("%s: var %s is neither an error nor a table of constants", s.path, v.Names[0].Name)
				}
			}
		}
	}
}

// constructors make values that are constants in all but name.
var constructors = []string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "netip.MustParsePrefix", "netip.MustParseAddr", "slices.Concat"}

// constant says whether an expression is made of constants: a literal of a
// table, or the call of a constructor, or of a function of the same package,
// with such arguments only.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		return true
	case *ast.UnaryExpr:
		return constant(e.X)
	case *ast.CallExpr:
		switch f := e.Fun.(type) {
		case *ast.SelectorExpr:
			x, ok := f.X.(*ast.Ident)
			return ok && slices.Contains(constructors, x.Name+"."+f.Sel.Name)
		case *ast.Ident:
			return !slices.ContainsFunc(e.Args, func(arg ast.Expr) bool {
				switch arg.(type) {
				case *ast.BasicLit, *ast.CompositeLit, *ast.Ident:
					return false
				}
				return true
			})
		}
	}
	return false
}

func embedded(gen *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{gen.Doc, v.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// TestTopLevel holds the folders and files that a newcomer sees first.
func TestTopLevel(t *testing.T) {
	t.Parallel()
	want := []string{"LICENSE", "Makefile", "README.md", "cmd", "dispatcher", "go.mod", "go.sum", "keys", "policy", "receiver", "scenarios", "testdata"}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(want, e.Name()) {
			t.Errorf("the top level has %s", e.Name())
		}
	}
}
