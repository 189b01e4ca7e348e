package probe

import (
	"encoding/xml"
	"io"
	"strings"
)

// junitSuite has the probes of one phase.
type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Error   *junitMessage `xml:"error,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes a report as JUnit XML: a suite for each phase, a case for
// each probe, and one for the run as a whole. A case fails if the report does
// for it. What could not be judged is an error if it must be refused, and else
// counts as skipped, as does what proves nothing. What is only to be said is
// output.
func WriteJUnit(w io.Writer, r Report) error {
	suites := struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}{}
	for _, phase := range phases {
		suite := junitSuite{Name: "probe " + string(phase)}
		for _, result := range r.Results {
			if result.Probe.Phase == phase {
				suite.add(junitResult(result, r.usual()))
			}
		}
		suites.Suites = append(suites.Suites, suite)
	}
	whole := junitSuite{Name: "probe"}
	run := junitCase{Name: "run", Class: "probe", Out: strings.Join(r.Notes, "\n")}
	if len(r.Problems) > 0 {
		run.Failure = &junitMessage{Message: r.Problems[0], Text: strings.Join(r.Problems, "\n")}
	}
	whole.add(run)
	suites.Suites = append(suites.Suites, whole)
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

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Error != nil {
		s.Errors++
	}
	if c.Skipped != nil {
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func junitResult(r Result, usual []string) junitCase {
	c := junitCase{Name: r.Probe.ID, Class: "probe." + r.Probe.Group}
	var text strings.Builder
	switch r.Mark {
	case Failed:
		r.write(&text, usual)
		c.Failure = &junitMessage{Message: r.Detail, Text: strings.TrimPrefix(text.String(), "\n")}
	case Skipped:
		c.Skipped = &junitMessage{Message: r.Detail}
	case Undetermined, NotProven:
		message := &junitMessage{Message: string(r.Mark) + ": " + r.Detail}
		if r.Mark == Undetermined && r.Probe.Expect == MustRefuse {
			c.Error = message
		} else {
			c.Skipped = message
		}
	case Warned:
		r.write(&text, usual)
		c.Out = string(r.Mark) + ": " + r.Detail + text.String()
	case Noted:
		c.Out = string(r.Mark) + ": " + r.Detail
	case Held:
	}
	return c
}
