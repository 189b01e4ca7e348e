package mailauth

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// yamlNode is a node of the YAML that the corpus uses: mappings by indentation,
// plain scalars, and the block scalars "|" and ">-".
type yamlNode struct {
	text     string
	children map[string]*yamlNode
}

// readYAML reads the mapping whose keys stand at an indentation, and returns
// the lines after it.
func readYAML(lines []string, indent int) (*yamlNode, []string) {
	b := &yamlNode{children: map[string]*yamlNode{}}
	for len(lines) > 0 {
		line := lines[0]
		if at := indentOf(line); strings.TrimSpace(line) == "" || line[at] == '#' {
			lines = lines[1:]
			continue
		} else if at != indent {
			break
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		lines = lines[1:]
		child := &yamlNode{text: strings.TrimSpace(value)}
		switch child.text {
		case "|", ">-":
			style := child.text
			n := 0
			for n < len(lines) && (strings.TrimSpace(lines[n]) == "" || indentOf(lines[n]) > indent) {
				n++
			}
			child.text = blockScalar(lines[:n], style)
			lines = lines[n:]
		case "":
			child, lines = readYAML(lines, indent+2)
		}
		b.children[name] = child
	}
	return b, lines
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// blockScalar reads the lines of a block scalar.
func blockScalar(lines []string, style string) string {
	indent := 0
	for _, line := range lines {
		if strings.TrimSpace(line) != "" {
			indent = indentOf(line)
			break
		}
	}
	var out []string
	for _, line := range lines {
		out = append(out, line[min(indent, len(line)):])
	}
	if style == ">-" {
		return strings.TrimSpace(strings.Join(out, " "))
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n") + "\n"
}

// arcDiffers are the messages of the suite for which our result is another than
// it expects, and why.
var arcDiffers = conformance.Differences{
	"ams_fields_c_na": {Got: "fail", Why: "without c= it takes the header as relaxed; an ARC-Message-Signature has the semantics of a DKIM-Signature (RFC 8617 4.1.2), whose default is simple (RFC 6376 3.5)"},
}

// TestARCConformance validates the messages of ValiMail's suite. Its keys have
// 1024 bits or more, except where a short one is the test.
func TestARCConformance(t *testing.T) {
	t.Parallel()
	data := string(read(t, conformance.Path(t, "arc/valimail"), "arc-validation-tests.share.yml"))
	s := newSealer(t)
	cases, differ := 0, 0
	for doc := range strings.SplitSeq(data, "\n---\n") {
		b, rest := readYAML(strings.Split(doc, "\n"), 0)
		if len(rest) > 0 {
			t.Fatalf("cannot read %q", rest[0])
		}
		dns := texts{}
		for name, record := range b.children["txt-records"].children {
			dns.add(name, record.text)
		}
		v := &Verifier{Resolver: dns, Now: at(1_500_000_000), Keys: NewKeyCache()}
		for name, tt := range b.children["tests"].children {
			raw := crlf([]byte(tt.children["message"].text))
			got := arcOf(v, raw)
			// Without a word any result will do: a seal says cv=fail.
			if want := strings.ToLower(strings.TrimSpace(tt.children["cv"].text)); want != "" {
				cases++
				if !arcDiffers.Compare(t, name, string(got.Result), want) {
					differ++
				}
			}
			checkARC(t, got, got.Result != policy.AuthNone)
			// What is valid can be extended, and the extended chain is valid.
			if got.Result != policy.AuthFail {
				again := arcOf(v, seal(t, raw, s.options(dns, 1, got)))
				if again.Result != policy.AuthPass || len(again.Sets) != len(got.Sets)+1 {
					t.Errorf("%s: sealed again: %+v", name, again)
				}
			}
		}
	}
	arcDiffers.Missing(t, differ)
	conformance.Report(t, "arc/valimail", cases, differ)
}

// TestARCGenuine reads the chains of mail that Gmail forwarded to itself. The
// keys were taken from DNS years ago.
func TestARCGenuine(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "forward/mailauth")
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(files) != 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw := crlf(read(t, file))
		got := arcOf(&Verifier{Resolver: texts{}, Now: at(1_700_000_000)}, raw)
		want := ReasonNoKey
		if filepath.Base(file) == "arc-fail3.eml" {
			want = ReasonChainFailed // Its newest seal was changed to say so.
		}
		if got.Result != policy.AuthFail || got.Reason != want || len(got.Sets) != 2 {
			t.Fatalf("%s: %+v", filepath.Base(file), got)
		}
		for i, s := range got.Sets {
			if s.Instance != i+1 || s.Domain != "google.com" || s.Selector != "arc-20160816" || !strings.HasPrefix(s.Results, "mx.google.com;") {
				t.Errorf("%s: %+v", filepath.Base(file), s)
			}
		}
		// What we cover is what Gmail covered when it sealed.
		for _, set := range collectARC(message.Parse(raw)).sets {
			_, below, _ := bytes.Cut(raw, set.fields[arcResults].Raw)
			if got, want := usualHeaders(message.Parse(below)), set.message.result.Headers; !slices.Equal(got, want) {
				t.Errorf("%s: we cover %q, Gmail covered %q", filepath.Base(file), got, want)
			}
		}
	}
}
