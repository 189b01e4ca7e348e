package scenarios_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/scenarios"
)

// reported is a file that holds, one that does not, and one that is stopped.
func reported(t *testing.T) []scenarios.Result {
	t.Helper()
	var list []scenarios.Result
	for _, text := range []string{
		"expect clock exists\n# Title & <tag> #2\n# on two lines.\nexpect clock contains 2026\n",
		"# Fails.\nexpect clock == \"</failure> ]]>\"\nexpect messages == 1\n# Holds.\nexpect messages == 0\n",
		"# Stops.\nunsubscribe\n# Never.\nexpect messages == 0\n",
	} {
		list = append(list, run(t, text, scenarios.RunOptions{}))
	}
	return list
}

func TestWriteTAP(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := scenarios.WriteTAP(&b, reported(t)); err != nil {
		t.Fatal(err)
	}
	const want = `TAP version 13
1..6
ok 1 - x.txtar: line 1
ok 2 - x.txtar: Title & <tag>  2 on two lines.
not ok 3 - x.txtar: Fails.
# x.txtar:2:17: actual value is "2026-01-15T09:00:00Z"
#    2 | expect clock == "</failure> ]]>"
#      |                 ^
# x.txtar:3:20: actual value is "0"
#    3 | expect messages == 1
#      |                    ^
ok 4 - x.txtar: Holds.
not ok 5 - x.txtar: Stops.
# x.txtar:2:1: there is no message yet
#    2 | unsubscribe
#      | ^
ok 6 - x.txtar: Never. # SKIP an earlier step could not be carried out
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestWriteJUnit(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := scenarios.WriteJUnit(&b, reported(t)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Suites []struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Class   string `xml:"classname,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	if !strings.HasPrefix(b.String(), xml.Header) || len(got.Suites) != 3 {
		t.Fatalf("got\n%s", b.String())
	}
	first, second := got.Suites[0], got.Suites[1]
	if first.Tests != 2 || first.Failures != 0 || first.Cases[1].Name != "Title & <tag> #2 on two lines." || first.Cases[1].Failure != nil {
		t.Errorf("first suite is %+v", first)
	}
	if second.Name != "x.txtar" || second.Tests != 2 || second.Failures != 1 || second.Cases[0].Class != "x.txtar" || second.Cases[1].Failure != nil {
		t.Fatalf("second suite is %+v", second)
	}
	failure := second.Cases[0].Failure
	if failure == nil || failure.Message != `x.txtar:2:17: actual value is "2026-01-15T09:00:00Z"` || !strings.Contains(failure.Text, "</failure> ]]>") || strings.Count(failure.Text, "^") != 2 {
		t.Errorf("failure is %+v", failure)
	}
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	results := reported(t)
	results[0].Paths = []scenarios.Path{{Name: "a", Value: "<b>"}}
	var b bytes.Buffer
	if err := scenarios.WriteJSON(&b, results); err != nil {
		t.Fatal(err)
	}
	var got []struct {
		Path    string
		Held    bool
		Stopped bool
		Paths   map[string]string
		Phases  []struct {
			Title               string
			Line, Steps, Claims int
			Skipped             bool
			Failures            []struct {
				Path, Src, Msg string
				Line, Col      int
			}
		}
	}
	d := json.NewDecoder(&b)
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || !got[0].Held || got[1].Held || got[1].Stopped || !got[2].Stopped || got[2].Held {
		t.Fatalf("got %+v", got)
	}
	if len(got[0].Paths) != 1 || got[0].Paths["a"] != "<b>" || got[1].Paths != nil {
		t.Errorf("paths are %v and %v", got[0].Paths, got[1].Paths)
	}
	failed := got[1].Phases[0]
	if failed.Title != "Fails." || failed.Line != 1 || failed.Steps != 2 || failed.Claims != 2 || len(failed.Failures) != 2 {
		t.Fatalf("got %+v", failed)
	}
	if f := failed.Failures[1]; f.Path != "x.txtar" || f.Line != 3 || f.Col != 20 || f.Src != "expect messages == 1" || f.Msg != `actual value is "0"` {
		t.Errorf("got %+v", f)
	}
	if len(got[2].Phases) != 2 || got[2].Phases[0].Steps != 1 || !got[2].Phases[1].Skipped {
		t.Errorf("a stopped file has %+v", got[2].Phases)
	}
}
