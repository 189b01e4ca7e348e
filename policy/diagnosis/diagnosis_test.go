package diagnosis_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/diagnosis"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden holds what the account looks like, in all its forms.
func TestGolden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]diagnosis.Case{"good": goodCase(), "refused": refusedCase(), "hostile": hostileCase()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := diagnosis.Diagnose(c)
			compare(t, name+".txt", []byte(d.Text()))
			compare(t, name+".json", marshal(t, d))
			compare(t, name+".html", page(t, d))
		})
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it was; -update writes it:\n%s", path, got)
	}
}

func marshal(t *testing.T, d diagnosis.Diagnosis) []byte {
	t.Helper()
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func page(t *testing.T, d diagnosis.Diagnosis) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := d.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestHostile holds that nothing foreign becomes markup, or acts on a terminal.
func TestHostile(t *testing.T) {
	t.Parallel()
	d := diagnosis.Diagnose(hostileCase())
	checkPage(t, page(t, d))
	checkText(t, d.Text())
}

// FuzzShow holds the same for whatever a mail may hold.
func FuzzShow(f *testing.F) {
	f.Add(nasty)
	f.Add("")
	f.Add("\xff\xfe<b>\u0085\u2028")
	f.Add("v=spf1 \"\\ -all")
	f.Fuzz(func(t *testing.T, x string) {
		if len(x) > 1<<12 {
			return
		}
		d := diagnosis.Diagnose(hostile(x))
		checkPage(t, page(t, d))
		checkText(t, d.Text())
		marshal(t, d)
	})
}

func checkText(t *testing.T, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%q acts on a terminal", text[max(0, i-20):min(len(text), i+20)])
	}
}

// elements and attributes are all that the page is made of.
var (
	elements   = strings.Fields("html head meta title style body header h1 h2 h3 p div bdi main section ol ul li dl dt dd span table thead tbody tr th td details summary footer")
	attributes = strings.Fields("lang charset http-equiv content name class id scope")
)

func checkPage(t *testing.T, page []byte) {
	t.Helper()
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.TextToken:
			checkText(t, string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			tag := z.Token()
			if !slices.Contains(elements, tag.Data) {
				t.Errorf("the page has an element %q", tag.Data)
			}
			for _, a := range tag.Attr {
				if !slices.Contains(attributes, a.Key) {
					t.Errorf("the page has an attribute %q", a.Key)
				}
			}
		}
	}
}

// TestPageNeedsNothing holds that the page names no other file, and that its
// policy permits its own style.
func TestPageNeedsNothing(t *testing.T) {
	t.Parallel()
	text := string(page(t, diagnosis.Diagnose(goodCase())))
	if m := regexp.MustCompile(`(?i)<(script|link|img|iframe|base|form|a)\b|@import|url\(|\bsrc=|\bhref=|\bstyle=`).FindString(text); m != "" {
		t.Errorf("the page has %q", m)
	}
	style, _, _ := strings.Cut(strings.SplitAfterN(text, "<style>", 2)[1], "</style>")
	policy := regexp.MustCompile(`content="(default-src[^"]*)"`).FindStringSubmatch(text)
	if policy == nil {
		t.Fatal("the page has no policy")
	}
	want := "default-src 'none'; style-src 'sha256-" + hash(style) + "'; base-uri 'none'; form-action 'none'"
	if got := html.UnescapeString(policy[1]); got != want {
		t.Errorf("the policy is\n%s, not\n%s", got, want)
	}
}

// TestTermsAreNotBroken holds that a record's last term stays in one piece on a
// narrow page, and that nothing of a value is lost.
func TestTermsAreNotBroken(t *testing.T) {
	t.Parallel()
	for record, want := range map[string]string{
		"v=spf1 a -all":        `<bdi>v=spf1 a <span class="whole">-all</span></bdi>`,
		"v=spf1 -a  - -all x":  `<bdi>v=spf1 <span class="whole">-a</span>  - <span class="whole">-all</span> x</bdi>`,
		"-all ":                `<bdi><span class="whole">-all</span> </bdi>`,
		"v=spf1 a:x-y.example": `<bdi>v=spf1 a:x-y.example</bdi>`,
	} {
		c := goodCase()
		c.Evidence.Auth.SPF.Record = record
		if got := string(page(t, diagnosis.Diagnose(c))); !strings.Contains(got, "<dd>"+want+"</dd>") {
			t.Errorf("%q is not shown as %s", record, want)
		}
	}
}

// TestBounded holds that a mail with very many of everything makes no large
// page.
func TestBounded(t *testing.T) {
	t.Parallel()
	c := refusedCase()
	e := &c.Evidence
	const n = 10_000
	long := strings.Repeat("x", 5_000)
	e.Header.From[0].Name = long
	for range n {
		e.Header.From = append(e.Header.From, policy.Address{Addr: "x@shop.example", Domain: "shop.example"})
		e.Header.Problems = append(e.Header.Problems, policy.Problem{Code: "line-too-long", Text: long})
		e.Auth.DKIM = append(e.Auth.DKIM, policy.DKIM{Result: policy.AuthFail, Reason: "body-hash", Domain: "shop.example", OrgDomain: "shop.example", Selector: long})
		e.Auth.DKIM[0].Headers = append(e.Auth.DKIM[0].Headers, long)
		e.Auth.ReverseDNS.Names = append(e.Auth.ReverseDNS.Names, long)
		e.Auth.ARC.Sets = append(e.Auth.ARC.Sets, policy.ARCSet{Results: long})
		e.Access.Signals = append(e.Access.Signals, policy.Signal{Name: "a", Value: long})
		e.Access.Contradictions = append(e.Access.Contradictions, policy.Signal{Name: "a", Value: long})
		c.Questions = append(c.Questions, diagnosis.Question{Name: "x.example", Type: "A", Answer: "192.0.2.1\n192.0.2.2"})
	}
	for i := range 20 {
		e.Markup.Problems = append(e.Markup.Problems, policy.Problem{Code: "json", Text: long})
		a := e.Markup.Actions[0]
		a.Index, a.Name, a.Type = i+1, long, long
		e.Markup.Actions = append(e.Markup.Actions, a)
	}
	c.Header = strings.Repeat("X: "+long+"\r\n", n)
	d := diagnosis.Diagnose(decided(c))
	const limit = 4 << 20
	if got := len(page(t, d)); got > limit {
		t.Errorf("the page has %d octets", got)
	}
	if got := len(d.Text()); got > limit {
		t.Errorf("the text has %d octets", got)
	}
	if got := len(marshal(t, d)); got > limit {
		t.Errorf("the JSON has %d octets", got)
	}
	if d.MoreDKIM == 0 || len(d.DKIM) == 0 || d.DNS.More == 0 {
		t.Errorf("nothing is said to be left out: %d signatures, %d questions", d.MoreDKIM, d.DNS.More)
	}
}
