package diagnosis

import (
	"crypto/sha256"
	_ "embed" // For the page and its style.
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.gohtml
var pageText string

//go:embed page.css
var pageStyle string

// HTML writes the account as one page that needs nothing else: no script, no
// other file, no network. Its own Content-Security-Policy forbids all of them,
// and permits the one style by its hash. The error is that of the writer.
func (d Diagnosis) HTML(w io.Writer) error {
	t, err := template.New("page").Parse(pageText)
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
