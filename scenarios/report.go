package scenarios

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// MarshalJSON writes the error with its message as people see it.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Path string `json:"path"`
		Line int    `json:"line"`
		Col  int    `json:"col"`
		Src  string `json:"src"`
		Msg  string `json:"msg"`
		Hint string `json:"hint,omitempty"`
	}(*e))
}

// Report is a result as JSON shows it.
type Report struct {
	Result
	Held  bool              `json:"held"`
	Paths map[string]string `json:"paths,omitempty"` // Values by their path.
}

// Reported returns a result as JSON shows it.
func Reported(r Result) Report {
	report := Report{Result: r, Held: r.Held(), Paths: make(map[string]string, len(r.Paths))}
	for _, p := range r.Paths {
		report.Paths[p.Name] = p.Value
	}
	return report
}

// WriteJSON writes results as one JSON array.
func WriteJSON(w io.Writer, results []Result) error {
	list := make([]Report, len(results))
	for i, r := range results {
		list[i] = Reported(r)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(list)
}

// junitSuite is one file in the form that build servers read.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
	Skipped *struct{}     `xml:"skipped,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes results as JUnit XML: a suite for each file, and a case
// for each phase.
func WriteJUnit(w io.Writer, results []Result) error {
	suites := struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}{}
	for _, r := range results {
		suite := junitSuite{Name: r.Path, Tests: len(r.Phases)}
		for _, p := range r.Phases {
			c := junitCase{Name: p.name(), Class: r.Path}
			if len(p.Failures) > 0 {
				suite.Failures++
				c.Failure = &junitFailure{Message: p.Failures[0].Error(), Text: p.Failures.Report()}
			}
			if p.Skipped {
				suite.Skipped++
				c.Skipped = &struct{}{}
			}
			suite.Cases = append(suite.Cases, c)
		}
		suites.Suites = append(suites.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suites); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// name is the title of a phase on one line.
func (p PhaseResult) name() string {
	if p.Title == "" {
		return fmt.Sprintf("line %d", p.Line)
	}
	return strings.ReplaceAll(p.Title, "\n", " ")
}

// WriteTAP writes results in the Test Anything Protocol, a test point for each
// phase.
func WriteTAP(w io.Writer, results []Result) error {
	var b strings.Builder
	n := 0
	for _, r := range results {
		for _, p := range r.Phases {
			n++
			word := "ok"
			if len(p.Failures) > 0 {
				word = "not ok"
			}
			// A "#" would begin a directive.
			skip := ""
			if p.Skipped {
				skip = " # SKIP an earlier step could not be carried out"
			}
			fmt.Fprintf(&b, "%s %d - %s: %s%s\n", word, n, r.Path, strings.ReplaceAll(p.name(), "#", " "), skip)
			for line := range strings.Lines(p.Failures.Report()) {
				fmt.Fprintf(&b, "# %s", line)
			}
		}
	}
	_, err := fmt.Fprintf(w, "TAP version 13\n1..%d\n%s", n, b.String())
	return err
}
