package diagnosis

import (
	"crypto/sha256"
	_ "embed" // For the page and its style.
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page.gohtml
var pageText string

//go:embed page.css
var pageStyle string

// HTML writes the account as one page that needs nothing else: no script, no
// other file, no network. Its own Content-Security-Policy forbids all of them,
// and permits the one style by its hash. The error is that of the writer.
func (d Diagnosis) HTML(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{"pieces": pieces}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("the page's template: %w", err)
	}
	sum := sha256.Sum256([]byte(pageStyle))
	return t.Execute(w, struct {
		view
		Style  template.CSS
		Policy string
	}{
		d.view(), template.CSS(pageStyle),
		"default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
	})
}

// piece is a part of a value.
type piece struct {
	Text  string
	Whole bool // No line is broken within it.
}

// pieces tells the words of a value that begin with a hyphen from the rest: a
// browser would break the line behind the hyphen of "-all", which is read as
// another term then.
func pieces(value string) []piece {
	var list []piece
	rest := 0
	for at := 0; at < len(value); {
		end := len(value)
		if i := strings.IndexByte(value[at:], ' '); i >= 0 {
			end = at + i
		}
		if end-at > 1 && value[at] == '-' {
			if rest < at {
				list = append(list, piece{Text: value[rest:at]})
			}
			list, rest = append(list, piece{value[at:end], true}), end
		}
		at = end + 1
	}
	if rest < len(value) {
		list = append(list, piece{Text: value[rest:]})
	}
	return list
}
