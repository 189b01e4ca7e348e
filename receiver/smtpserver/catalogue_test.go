package smtpserver

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestRepliesAreComplete: the table has every reply there is a name for, and
// there are no others: the server says nothing that has no name.
func TestRepliesAreComplete(t *testing.T) {
	t.Parallel()
	named := replyNames(t, "words.go", true)
	listed := replyNames(t, "catalogue.go", false)
	for name := range named {
		if !listed[name] {
			t.Errorf("%s is in words.go and not in the table", name)
		}
	}
	if got := len(Replies()); got != len(named) {
		t.Errorf("%d replies in the table, %d in words.go", got, len(named))
	}
	for _, file := range []string{"bdat.go", "command.go", "data.go", "server.go", "session.go", "starttls.go", "wire.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if lit, ok := n.(*ast.CompositeLit); ok {
				if kind, ok := lit.Type.(*ast.Ident); ok && kind.Name == "Reply" && len(lit.Elts) > 0 {
					t.Errorf("%s has a reply of its own", file)
				}
			}
			return true
		})
	}
}

// replyNames are the identifiers in a file that begin with "reply": those it
// declares, or all.
func replyNames(t *testing.T, file string, declared bool) map[string]bool {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if declared {
				names[n.Name.Name] = true
				return false
			}
		case *ast.ValueSpec:
			if declared {
				for _, name := range n.Names {
					names[name.Name] = true
				}
				return false
			}
		case *ast.Ident:
			names[n.Name] = !declared
		}
		return true
	})
	for name := range names {
		if !strings.HasPrefix(name, "reply") || !names[name] {
			delete(names, name)
		}
	}
	return names
}

// TestRepliesAreWellFormed: what can be said about all of them.
func TestRepliesAreWellFormed(t *testing.T) {
	t.Parallel()
	id := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := make(map[string]bool)
	for _, r := range Replies() {
		if !id.MatchString(r.ID) || seen[r.ID] {
			t.Errorf("%q is no id of its own", r.ID)
		}
		seen[r.ID] = true
		if r.Source == "" || !strings.HasSuffix(r.When, ".") || !strings.Contains("connect hello starttls mail rcpt data any", r.Phase) {
			t.Errorf("%s: %+v", r.ID, r)
		}
		// RFC 2034 4: the classes agree. Greeting, EHLO and 3yz have none.
		if r.Reply.Enhanced != "" && r.Reply.Enhanced[0] != strconv.Itoa(r.Reply.Code)[0] {
			t.Errorf("%s: %d %s", r.ID, r.Reply.Code, r.Reply.Enhanced)
		}
		for _, line := range r.Reply.Lines {
			if len(line) > wrapAt {
				t.Errorf("%s: line of %d octets: %q", r.ID, len(line), line)
			}
		}
	}
}

// TestQuotedInReplies: what a client said is quoted in lines that stay short,
// and nothing of it can be taken for a reply.
func TestQuotedInReplies(t *testing.T) {
	t.Parallel()
	for _, r := range []Reply{
		replyBadRcpt(strings.Repeat("x", 2000)), replyBadSender(strings.Repeat("x", 2000)), replyHeloInvalid(strings.Repeat("x", 2000)),
		replyBadRcpt("\r\n250 2.1.5 OK\x1b[1m"), replyHeloInvalid("a\nb"),
	} {
		for line := range strings.Lines(string(r.appendTo(nil, "ID - gsmtp"))) {
			text, ok := strings.CutSuffix(line, "\r\n")
			if len(line) > 512 || !ok || !strings.HasPrefix(text, strconv.Itoa(r.Code)) ||
				strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%.80q", line)
			}
		}
	}
}
