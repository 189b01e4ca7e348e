package markup

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// referenceAction is an action as the manifest's extractor found it.
type referenceAction struct {
	Type    string `json:"type"`
	On      string `json:"on"`
	Name    string `json:"name"`
	URL     any    `json:"url"`
	Target  any    `json:"target"`
	Handler []struct {
		URL    any    `json:"url"`
		Method string `json:"method"`
	} `json:"handler"`
}

// texts flattens a value of JSON-LD to the URLs in it.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, e := range v {
			list = append(list, texts(e)...)
		}
		return list
	case map[string]any:
		return append(texts(v["urlTemplate"]), texts(v["url"])...)
	}
	return nil
}

func (r referenceAction) String() string {
	targets := texts(r.Target)
	for _, u := range texts(r.URL) {
		if !slices.Contains(targets, u) {
			targets = append(targets, u)
		}
	}
	slices.Sort(targets)
	s := fmt.Sprintf("%s on %q name %q targets %q", r.Type, r.On, r.Name, targets)
	for _, h := range r.Handler {
		method := h.Method[strings.LastIndexAny(h.Method, "/.")+1:]
		s += fmt.Sprintf(" handler %q %s", texts(h.URL)[0], method)
	}
	return s
}

func describe(a policy.Action) string {
	targets := slices.Sorted(slices.Values(a.Targets))
	s := fmt.Sprintf("%s on %q name %q targets %q", a.Type, a.On, a.Name, targets)
	for _, h := range a.Handlers {
		s += fmt.Sprintf(" handler %q %s", h.URL, h.Method)
	}
	return s
}

func describeAll(actions []policy.Action) []string {
	var list []string
	for _, a := range actions {
		if a.Implied == "" {
			list = append(list, describe(a))
		}
	}
	slices.Sort(list)
	return list
}

// readSample extracts a file of the markup corpus.
func readSample(t *testing.T, path string) policy.Markup {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(path) == ".eml" {
		return Extract(message.Parse(data))
	}
	var m policy.Markup
	m.Actions, m.Items, m.Problems = ExtractHTML("1", data)
	return m
}

// referenceDiffers says why the actions of a sample are not those of the
// manifest's extractor.
var referenceDiffers = map[string]string{
	"schemaorg-examples/eg-0188-json.html": "the target of two EntryPoints is one URL, which is listed once",
}

func TestReference(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "markup")
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Samples []struct {
			File      string `json:"file"`
			Reference []struct {
				Syntax  string            `json:"syntax"`
				Strict  *bool             `json:"strict_json"`
				Actions []referenceAction `json:"actions"`
			} `json:"reference_extraction"`
		} `json:"samples"`
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, sample := range manifest.Samples {
		if filepath.Ext(sample.File) == ".json" {
			continue
		}
		cases++
		t.Run(sample.File, func(t *testing.T) {
			t.Parallel()
			var want []string
			broken := 0
			for _, r := range sample.Reference {
				for _, a := range r.Actions {
					want = append(want, a.String())
				}
				if r.Strict != nil && !*r.Strict {
					broken++
				}
			}
			slices.Sort(want)
			m := readSample(t, filepath.Join(dir, sample.File))
			got := describeAll(m.Actions)
			why, known := referenceDiffers[sample.File]
			if slices.Equal(got, want) == known {
				t.Errorf("got\n%s\nwant\n%s\nproblems %v\ndifference known: %q", strings.Join(got, "\n"), strings.Join(want, "\n"), m.Problems, why)
			}
			for _, p := range m.Problems {
				if p.Code == JSONSyntax {
					broken--
				}
				t.Logf("%s: %s", p.Code, p)
			}
			if broken != 0 {
				t.Errorf("%d broken blocks more than problems", broken)
			}
		})
	}
	conformance.Report(t, "markup, actions", cases, len(referenceDiffers))
}

// twinsDiffer says why the two forms of a sample of Google's documentation do
// not have the same actions.
var twinsDiffer = map[string]string{
	"actions_declaring-actions-03-jsonld.html":  "the JSON has an ellipsis in it",
	"actions_end-to-end-example-01-jsonld.html": "the JSON has a trailing comma",
	"actions_end-to-end-example-03-jsonld.html": "the JSON has a trailing comma",
	"reference_go-to-action-05-jsonld.html":     "the JSON lacks a comma and has a trailing one",
}

func TestTwins(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "markup/google-docs")
	files, err := filepath.Glob(filepath.Join(dir, "*-jsonld.html"))
	if err != nil {
		t.Fatal(err)
	}
	pairs, actions := 0, 0
	number := regexp.MustCompile(`-(\d\d)-jsonld\.html$`)
	for _, file := range files {
		base := filepath.Base(file)
		n := 0
		fmt.Sscanf(number.FindStringSubmatch(base)[1], "%d", &n)
		twin := filepath.Join(dir, number.ReplaceAllString(base, fmt.Sprintf("-%02d-microdata.html", n+1)))
		if _, err := os.Stat(twin); err != nil {
			continue
		}
		pairs++
		a, b := readSample(t, file), readSample(t, twin)
		x, y := describeAll(a.Actions), describeAll(b.Actions)
		actions += len(x)
		same := slices.Equal(x, y) && slices.Equal(a.Items, b.Items)
		if why, known := twinsDiffer[base]; known == same {
			t.Errorf("%s:\n%s %q\ntwin:\n%s %q\ndifference known: %q", base, strings.Join(x, "\n"), a.Items, strings.Join(y, "\n"), b.Items, why)
		}
	}
	if actions < 20 {
		t.Errorf("only %d actions", actions)
	}
	conformance.Report(t, "markup/google-docs, twins", pairs, len(twinsDiffer))
}
