package probe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

var update = flag.Bool("update", false, "write the golden files anew")

// writers are the formats, by the name of their golden file.
var writers = map[string]func(io.Writer, probe.Report) error{
	"report.txt": probe.WriteText, "report.json": probe.WriteJSON, "report.xml": probe.WriteJUnit, "report.sarif": probe.WriteSARIF,
}

// TestReports writes what is found of a service with some flaws, in all formats.
func TestReports(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, target, o := b.try(t, "alg-none", "no-azp", "user-agent", "crashes", "no-retry")
	o.Only = []string{"alg-none", "authorized-party", "user-agent-other", "token-missing", "replay", "retry-after-lost-answer", "limited-use-altered", "keys"}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			if err := write(&got, report); err != nil {
				t.Fatal(err)
			}
			text := stable(t, b, s, got.String())
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if text != string(want) {
				t.Errorf("%s is not as it was; -update writes it:\n%s", path, text)
			}
		})
	}
}

// stable replaces what differs from run to run.
func stable(t *testing.T, b *bench, s *service, text string) string {
	t.Helper()
	list, err := b.provider.Keys()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		text = strings.ReplaceAll(text, k.ID, "0123456789abcdef0123456789abcdef01234567")
	}
	// The port has as many digits as another, so that lines break alike.
	_, port, _ := strings.Cut(s.URL, "127.0.0.1:")
	return strings.ReplaceAll(text, "127.0.0.1:"+port, "127.0.0.1:44300")
}

// TestReportsAreWellFormed holds what other programs need of the formats.
func TestReportsAreWellFormed(t *testing.T) {
	t.Parallel()
	report := probe.Report{Service: "https://shop.example/a/b194…", Problems: []string{"a\x1b[2J"}, Results: []probe.Result{
		{Probe: probe.Catalogue()[0], Mark: probe.Failed, Detail: "]]> & <"}, {Probe: probe.Catalogue()[1], Mark: probe.Held},
	}}
	for name, write := range writers {
		var out bytes.Buffer
		if err := write(&out, report); err != nil {
			t.Fatal(err)
		}
		var err error
		switch filepath.Ext(name) {
		case ".xml":
			err = xml.Unmarshal(out.Bytes(), new(struct{}))
		case ".json", ".sarif":
			err = json.Unmarshal(out.Bytes(), new(any))
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNotJudgedInReports holds that what proves nothing does not look like what
// held: in JUnit it is no case that passed, and the text has it by its reason.
func TestNotJudgedInReports(t *testing.T) {
	t.Parallel()
	p := func(id string, e probe.Expect) probe.Probe {
		return probe.Probe{ID: id, Expect: e, Phase: probe.Hostile, Severity: probe.High}
	}
	report := probe.Report{Method: "POST", Service: "https://shop.example/", Problems: []string{"1 of 4"}, Results: []probe.Result{
		{Probe: p("a", probe.MustRefuse), Mark: probe.Failed, Outcome: probe.Accepted, Detail: "answered 200" + strings.Repeat(" word", 40)},
		{Probe: p("b", probe.MustRefuse), Mark: probe.NotProven, Outcome: probe.Refused, Detail: "answered 401; but a had been accepted before"},
		{Probe: p("c", probe.MustRefuse), Mark: probe.NotProven, Outcome: probe.Refused, Detail: "answered 400; but a had been accepted before"},
		{Probe: p("d", probe.MustRefuse), Mark: probe.Undetermined, Outcome: probe.Unanswered, Detail: "no answer"},
		{Probe: p("e", probe.ShouldRefuse), Mark: probe.Undetermined, Outcome: probe.Unanswered, Detail: "no answer"},
	}}
	var text, junit bytes.Buffer
	if err := errors.Join(probe.WriteText(&text, report), probe.WriteJUnit(&junit, report)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"FAILED: the service is not sound\n5 probes: 1 failed,", "\nnot-proven: a had been accepted before\n  b c\n", "\nundetermined: no answer\n  d e\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not have %q:\n%s", want, text.String())
		}
	}
	if n := strings.Count(text.String(), "failed  high      a "); n != 1 {
		t.Errorf("the finding has %d lines:\n%s", n, text.String())
	}
	for _, want := range []string{
		`tests="5" failures="1" errors="1" skipped="3"`, `<error message="undetermined: no answer">`, `<skipped message="undetermined: no answer">`,
		`<skipped message="not-proven: answered 401; but a had been accepted before">`,
	} {
		if !strings.Contains(junit.String(), want) {
			t.Errorf("JUnit does not have %q:\n%s", want, junit.String())
		}
	}
}

// TestVerdict holds what the first line says.
func TestVerdict(t *testing.T) {
	t.Parallel()
	p := probe.Probe{ID: "a", Phase: probe.Hostile}
	for want, report := range map[string]probe.Report{
		"PASSED\n":                                   {Results: []probe.Result{{Probe: p, Mark: probe.Held}}},
		"PASSED, with warnings\n":                    {Results: []probe.Result{{Probe: p, Mark: probe.Warned}}},
		"PASSED, but nothing was proven\n":           {Results: []probe.Result{{Probe: p, Mark: probe.NotProven}}, Notes: []string{"the refusals prove nothing"}},
		"FAILED: the good request is not accepted\n": {Results: []probe.Result{{Probe: probe.Probe{ID: "good", Phase: probe.Good}, Mark: probe.Failed}}},
		"FAILED: the service could not be judged\n":  {Problems: []string{"x"}},
	} {
		var text bytes.Buffer
		if err := probe.WriteText(&text, report); err != nil || !strings.HasPrefix(text.String(), want) {
			t.Errorf("%v; begins with\n%s, want %s", err, text.String(), want)
		}
		for _, note := range report.Notes {
			if !strings.Contains(text.String(), "\nnote: "+note+"\n") {
				t.Errorf("the note is missing:\n%s", text.String())
			}
		}
	}
}

// TestTextFits holds that lines are readable on a terminal of a hundred columns.
func TestTextFits(t *testing.T) {
	t.Parallel()
	for _, p := range probe.Catalogue() {
		var out bytes.Buffer
		report := probe.Report{Results: []probe.Result{{
			Probe: p, Mark: probe.Failed, Detail: strings.Repeat("word ", 50),
			Exchanges: []probe.Exchange{{Request: "POST /" + strings.Repeat("x", 300), Fields: []string{"A: " + strings.Repeat("y", 500)}, Body: "z"}},
		}}}
		if err := probe.WriteText(&out, report); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
				t.Errorf("%s: a line of %d characters: %s", p.ID, n, line)
			}
		}
	}
}

// TestSecretsAreCut holds that no report has a token that could be used: of the
// octets that were sent, neither a limited-use token nor a signature is in it,
// though the service says all of them back.
func TestSecretsAreCut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, target, o := b.try(t, "polite")
	o.Effects = nil
	signature := regexp.MustCompile(`eyJ[\w-]+=*\.[\w-]+=*\.([\w-]{24,})`)
	limited := regexp.MustCompile(`[0-9a-fA-F]{32}`)
	var mu sync.Mutex
	secrets := map[string]bool{}
	exchange := o.Exchange
	o.Exchange = func(ctx context.Context, r dispatcher.Raw) dispatcher.Attempt {
		mu.Lock()
		defer mu.Unlock()
		head, _, _ := bytes.Cut(r.Octets, []byte("\r\n"))
		for _, found := range limited.FindAllString(string(head), -1) {
			secrets[found] = true
		}
		for _, found := range signature.FindAllStringSubmatch(string(r.Octets), -1) {
			secrets[found[1][:24]] = true
		}
		a := exchange(ctx, r)
		a.Body = append(append([]byte("\x1b[31m"), r.Octets...), "\x00\xff"...)
		a.Body = bytes.ReplaceAll(a.Body, []byte("\r\n"), []byte(" "))
		return a
	}
	report, err := probe.Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(secrets) < 20 {
		t.Fatalf("only %d secrets were seen", len(secrets))
	}
	for name, write := range writers {
		var out bytes.Buffer
		if err := write(&out, report); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(out.String(), "\n", "")
		for secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %s", name, secret)
			}
		}
		if strings.ContainsAny(text, "\x1b\x00") {
			t.Errorf("%s has a control character", name)
		}
	}
}

// TestCatalogue holds that every probe says all there is to say.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	word := regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
	source := regexp.MustCompile(`^(RFC \d+|gmail-actions\.md|libraries\.md|OpenID Connect Core) [\w.]+`)
	seen := map[string]bool{}
	for _, p := range probe.Catalogue() {
		if !word.MatchString(p.ID) || !word.MatchString(p.Group) || seen[p.ID] {
			t.Errorf("%q in %q is no name, or another's", p.ID, p.Group)
		}
		seen[p.ID] = true
		if p.Title == "" || len(p.Reason) < 10 || !strings.HasSuffix(p.Reason, ".") || !source.MatchString(p.Source) {
			t.Errorf("%s does not say what, why and where from: %q %q", p.ID, p.Reason, p.Source)
		}
		if _, ok := probe.FixOf(p.Fix); !ok && p.Phase != probe.Good {
			t.Errorf("%s has no fix: %q", p.ID, p.Fix)
		}
		if hostile := slices.Contains([]probe.Expect{probe.MustRefuse, probe.ShouldRefuse, probe.MustNotAct}, p.Expect); p.Phase == probe.Hostile && !hostile || p.Severity == "" {
			t.Errorf("%s is %s in phase %s, of severity %q", p.ID, p.Expect, p.Phase, p.Severity)
		}
		if (p.Severity == probe.Info) != (p.Expect == probe.Either) {
			t.Errorf("%s is %s of severity %s", p.ID, p.Expect, p.Severity)
		}
	}
	for _, group := range probe.Groups() {
		if seen[group] && group != "good" {
			t.Errorf("%s is a probe and a group", group)
		}
	}
}

// TestCatalogueOrder holds the order in which probes are tried.
func TestCatalogueOrder(t *testing.T) {
	t.Parallel()
	rank := func(p probe.Probe) int {
		n := map[probe.Phase]int{probe.Hostile: 0, probe.Good: 1, probe.After: 2}[p.Phase] * 100
		return n + slices.Index([]probe.Expect{probe.MustRefuse, probe.ShouldRefuse, probe.MustNotAct, probe.AtMostOnce, probe.MustAccept, probe.Either}, p.Expect)
	}
	list := probe.Catalogue()
	for i := range list[1:] {
		if rank(list[i]) > rank(list[i+1]) {
			t.Errorf("%s is tried before %s", list[i].ID, list[i+1].ID)
		}
	}
}

// TestCatalogueHas holds that what services have been caught with is in it.
func TestCatalogueHas(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, p := range probe.Catalogue() {
		ids[p.ID] = true
	}
	for what, id := range map[string]string{
		"no token": "token-missing", "empty": "token-empty", "malformed": "token-malformed", "not Bearer": "scheme-other", "alg none": "alg-none",
		"HS256 with the public key": "hs256-public-key", "unknown kid": "key-of-stranger", "kid with a path": "kid-path", "kid with a URL": "kid-url",
		"jku": "jku", "x5u": "x5u", "jwk": "jwk-embedded", "embedded key": "x5c-embedded", "wrong signature": "signature-broken", "truncated": "signature-truncated",
		"expired": "expired", "far future iat": "iat-far-future", "nbf ahead": "nbf-future", "aud of another sender": "aud-other", "aud with a slash": "aud-slash",
		"aud in an array": "aud-list", "aud substring": "aud-substring", "wrong iss": "iss-other", "look-alike iss": "iss-homoglyph", "wrong azp": "azp-other",
		"missing azp": "azp-missing", "another provider's token": "other-provider", "a different client": "azp-other-client", "two Authorization fields": "authorization-bad-first",
		"token in query": "token-in-query", "token in body": "token-in-body", "GET": "method-get", "HEAD": "method-head", "User-Agent": "user-agent-other",
		"JSON": "form-as-json", "duplicate parameters": "form-twice", "extra parameters": "form-parameter-unknown", "confirmed missing": "form-missing",
		"method override": "override-header", "limited-use missing": "limited-use-missing", "altered": "limited-use-altered", "of another user": "limited-use-of-other-user",
		"replay": "replay", "two at once": "two-at-once", "retry after a 408": "retry-after-incomplete", "retry after a lost answer": "retry-after-lost-answer",
		"oversized token": "token-oversized", "oversized body": "form-oversized", "old key after rotation": "key-withdrawn",
		"audience out of Host": "aud-other-host", "audience out of X-Forwarded-Host": "aud-other-forwarded", "two clicks at once": "two-bearers-at-once",
		"acting on OPTIONS": "method-options", "acting on TRACE": "method-trace", "remembered tokens": "accepted-token-resigned",
		"LIKE": "limited-use-wildcard", "injection": "limited-use-quote", "emptied tokens": "limited-use-empty-after-use", "remembered URLs": "replay-with-parameter",
	} {
		if !ids[id] {
			t.Errorf("%s: there is no probe %s", what, id)
		}
	}
}
