package mailauth

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

func arrival(from string) policy.Arrival {
	return policy.Arrival{Channel: policy.ChannelSMTP, Peer: netip.MustParseAddr("192.0.2.10"), HELO: "mail.shop.example",
		MailFrom: from, Rcpt: "alice@gmail.test", Session: "41be03b00d2f7-c1e7c33ddd0si280570012a.202"}
}

func options(a policy.Arrival, auth policy.Authentication) ResultsOptions {
	return ResultsOptions{Hostname: "mx.gmail.test", Domain: "gmail.test", Arrival: a, Auth: auth}
}

func goodAuth() policy.Authentication {
	return policy.Authentication{
		SPF:        policy.SPF{Result: policy.AuthPass, Identity: identityMailFrom, Domain: "shop.example"},
		DKIM:       []policy.DKIM{{Result: policy.AuthPass, Domain: "shop.example", AUID: "@shop.example", Selector: "s1", Signature: "kfZ1QuWM"}},
		DMARC:      policy.DMARC{Result: policy.AuthPass, Domain: "shop.example", Published: "reject", SubdomainPolicy: "quarantine", Policy: "reject"},
		ReverseDNS: policy.ReverseDNS{Result: policy.AuthPass, Name: "mail.shop.example"},
		ARC:        policy.ARC{Result: policy.AuthNone},
	}
}

func TestAuthenticationResults(t *testing.T) {
	t.Parallel()
	const fold = ";\r\n       "
	for _, tt := range []struct {
		name   string
		from   string
		change func(*policy.Authentication)
		want   []string // After the authserv-id.
	}{
		{"all pass", "Bounce@shop.example", func(*policy.Authentication) {}, []string{
			"dkim=pass header.i=@shop.example header.s=s1 header.b=kfZ1QuWM",
			"spf=pass (gmail.test: domain of bounce@shop.example designates 192.0.2.10 as permitted sender) smtp.mailfrom=Bounce@shop.example",
			"dmarc=pass (p=REJECT sp=QUARANTINE dis=NONE) header.from=shop.example"}},
		{"nothing", "", func(a *policy.Authentication) { *a = policy.Authentication{} }, []string{"none"}},
		{"signatures", "a@b.example", func(a *policy.Authentication) {
			*a = policy.Authentication{}
			for _, reason := range []policy.Reason{ReasonBodyHash, ReasonSignature, ReasonExpired} {
				a.DKIM = append(a.DKIM, policy.DKIM{Result: policy.AuthFail, Reason: reason, AUID: "@b.example"})
			}
			a.DKIM = append(a.DKIM,
				policy.DKIM{Result: policy.AuthNeutral, Reason: ReasonNoKey, AUID: "@b.example"},
				policy.DKIM{Result: policy.AuthPermError, Reason: ReasonNoKey, AUID: "@b.example"},
				policy.DKIM{Result: policy.AuthTempError, Reason: ReasonDNS, AUID: "@b.example"},
				policy.DKIM{Result: policy.AuthPolicy, Reason: ReasonKeyWeak, AUID: "@b.example", Signature: "a/b+cd=="},
				policy.DKIM{Result: policy.AuthPolicy, Reason: ReasonTooMany, AUID: "@b.example"})
		}, []string{
			"dkim=neutral (body hash did not verify) header.i=@b.example",
			"dkim=fail (signature did not verify) header.i=@b.example",
			"dkim=fail (expired) header.i=@b.example",
			"dkim=neutral (no key) header.i=@b.example",
			"dkim=permerror (no key for signature) header.i=@b.example",
			"dkim=temperror (no key for signature) header.i=@b.example",
			`dkim=policy (weak key) header.i=@b.example header.b="a/b+cd=="`}},
		{"forwarded", "u+caf_=a=gmail.test@fwd.example", func(a *policy.Authentication) {
			a.DKIM = nil
			a.SPF.Result = policy.AuthSoftFail
			a.DMARC.Result = policy.AuthFail
			a.ARC = policy.ARC{Result: policy.AuthPass, Sets: []policy.ARCSet{{Instance: 1}, {Instance: 2,
				Results: "mx.fwd.example; dkim/2=pass header.i=@later.example; dkim=pass header.i=@shop.example; dkim=fail header.d=no.example; spf=pass smtp.mailfrom=a@sub.shop.example; dmarc=pass header.from=shop.example"}}}
		}, []string{
			"arc=pass (i=2 spf=pass spfdomain=sub.shop.example dkim=pass dkdomain=shop.example dmarc=pass fromdomain=shop.example)",
			"spf=softfail (gmail.test: domain of transitioning u+caf_=a=gmail.test@fwd.example does not designate 192.0.2.10 as permitted sender)" +
				` smtp.mailfrom="u+caf_=a=gmail.test@fwd.example"`,
			"dmarc=fail (p=REJECT sp=QUARANTINE dis=REJECT) header.from=shop.example"}},
		{"broken chain", "a@b.example", func(a *policy.Authentication) {
			*a = policy.Authentication{ARC: policy.ARC{Result: policy.AuthFail, Reason: ReasonBodyHash}}
		}, []string{"arc=fail (body hash mismatch)"}},
		{"null reverse-path", "", func(a *policy.Authentication) {
			*a = policy.Authentication{SPF: policy.SPF{Result: policy.AuthNeutral, Identity: identityHELO}}
		}, []string{"spf=neutral (gmail.test: 192.0.2.10 is neither permitted nor denied by domain of mail.shop.example) smtp.helo=mail.shop.example"}},
		{"permanent error", "a@b.example", func(a *policy.Authentication) {
			*a = policy.Authentication{SPF: policy.SPF{Result: policy.AuthPermError, Identity: identityMailFrom, Problem: "c.example not found (1;2)"}}
		}, []string{"spf=permerror (gmail.test: permanent error in processing during lookup of a@b.example: c.example not found %281%3B2%29) smtp.mailfrom=a@b.example"}},
		{"injection", "\"a; dkim=pass (x) header.i=@bank.example\"@evil.example\r\n", func(a *policy.Authentication) {
			*a = policy.Authentication{SPF: policy.SPF{Result: policy.AuthFail, Identity: identityMailFrom}}
		}, []string{"spf=fail (gmail.test: domain of %22a%3B%20dkim=pass%20%28x%29%20header.i=@bank.example%22@evil.example%0D%0A does not designate 192.0.2.10 as permitted sender)" +
			` smtp.mailfrom="\"a%3B dkim=pass %28x%29 header.i=@bank.example\"@evil.example%0D%0A"`}},
	} {
		auth := goodAuth()
		tt.change(&auth)
		got := AuthenticationResults(options(arrival(tt.from), auth))
		if want := "mx.gmail.test" + fold + strings.Join(tt.want, fold); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, want)
		}
	}
}

func TestReceivedSPF(t *testing.T) {
	t.Parallel()
	a, auth := arrival("a@shop.example"), goodAuth()
	auth.SPF.Result = policy.AuthNone
	const want = "none (gmail.test: a@shop.example does not designate permitted sender hosts) client-ip=192.0.2.10;"
	if got := ReceivedSPF(options(a, auth)); got != want {
		t.Errorf("got %s", got)
	}
	a.Peer = netip.Addr{}
	if got := ReceivedSPF(options(a, auth)); got != "" {
		t.Errorf("without a peer: %s", got)
	}
}

func TestParseAuthenticationResults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ value, want, err string }{
		{" mx.example; none\r\n", "mx.example/1", ""},
		{"(a (b)) \"mx\\.example\" 1 (c)\r\n\t; none", "mx.example/1", ""},
		{"mx.example 2; none", "mx.example/2", ""},
		{"i=3; mx.example; spf=pass", "#3 mx.example/1 | spf=pass", ""},
		{"i (x) = 3 ;mx.example;none", "#3 mx.example/1", ""},
		{`mx.example; DKIM / 1 = PASS reason="a; b" (2048-bit key; unprotected) header.i=@a.example (x)`,
			`mx.example/1 | dkim=pass reason="a; b" (2048-bit key; unprotected) (x) header.i="@a.example"`, ""},
		{`mx.example;spf=pass smtp . mailfrom = "a b"@c.example;dmarc=fail(p=none)header.from=c.example`,
			`mx.example/1 | spf=pass smtp.mailfrom="\"a b\"@c.example" | dmarc=fail (p=none) header.from="c.example"`, ""},
		{`mx.example; spf=pass a.b="c"d.e=f`, `mx.example/1 | spf=pass a.b="c" d.e="f"`, ""},
		{`mx.example; spf=pass reason="c"d.e=f`, "mx.example/1", "no white space"},
		{`mx.example; iprev=pass policy.iprev=2001:db8::1; spf=none smtp.mailfrom=a=b@c.example`,
			`mx.example/1 | iprev=pass policy.iprev="2001:db8::1" | spf=none smtp.mailfrom="a=b@c.example"`, ""},
		{"mx.example; spf=pass;", "mx.example/1 | spf=pass", "no method"},
		{"mx.example", "mx.example/1", "no result"},
		{"mx.example x; spf=pass", "/1", "neither a version"},
		{"mx.example; none; spf=pass", "mx.example/1", `no '='`},
		{"mx.example; spf=pass x=y", "mx.example/1", `no '.'`},
		{"mx.example; spf=pass (", "mx.example/1", "comment"},
		{"mx.example; spf=pass a.b=\"", "mx.example/1", "quoted"},
		{"\"mx.example; spf=pass", "/1", "quoted"},
		{"i=0; mx.example; none", "/1", "instance"},
		{"", "/1", "no authserv-id"},
		{`"";none`, "/1", "no authserv-id"},
		{strings.Repeat("(", 21), "/1", "comment"},
		{strings.Repeat(" ", maxResultsField) + "x", "/1", "longer"},
		{"x" + strings.Repeat("; a=b", maxMethods+1), "", "more than"},
	} {
		got, err := ParseAuthenticationResults(tt.value)
		if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%.60q: got error %v, want %q", tt.value, err, tt.err)
		}
		if text := describe(got); text != tt.want && tt.want != "" {
			t.Errorf("%q: got %s, want %s", tt.value, text, tt.want)
		}
	}
}

// describe writes results on one line.
func describe(r AuthResults) string {
	var b strings.Builder
	if r.Instance > 0 {
		b.WriteString("#" + strconv.Itoa(r.Instance) + " ")
	}
	b.WriteString(r.ServID + "/" + strconv.Itoa(r.Version))
	for _, m := range r.Methods {
		b.WriteString(" | " + m.Method + "=" + string(m.Result))
		if m.Reason != "" {
			b.WriteString(" reason=" + strconv.Quote(m.Reason))
		}
		for _, c := range m.Comments {
			b.WriteString(" (" + c + ")")
		}
		for _, p := range m.Properties {
			b.WriteString(" " + p.Name + "=" + strconv.Quote(p.Value))
		}
	}
	return b.String()
}

// TestGenuineResults reads what Gmail wrote, and writes the clause of a chain
// as it did.
func TestGenuineResults(t *testing.T) {
	t.Parallel()
	folder := conformance.Path(t, "forward/mailauth")
	files, err := filepath.Glob(filepath.Join(folder, "*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no messages", err)
	}
	conformance.Report(t, "forward/mailauth, Authentication-Results", len(files), 0)
	compared := 0
	for _, file := range files {
		m := message.Parse(read(t, file))
		var sealed []AuthResults // The newest first.
		for _, name := range []string{"Authentication-Results", "ARC-Authentication-Results"} {
			for _, f := range m.All(name) {
				r, err := ParseAuthenticationResults(f.Value)
				if err != nil || r.ServID != "mx.google.com" || len(r.Methods) < 2 {
					t.Errorf("%s: %v, %+v", filepath.Base(file), err, r)
				}
				if r.Instance > 0 {
					sealed = append(sealed, r)
				}
			}
		}
		if len(sealed) != 2 {
			t.Fatalf("%s: %d sets", filepath.Base(file), len(sealed))
		}
		at := slices.IndexFunc(sealed[0].Methods, func(m MethodResult) bool { return m.Method == "arc" })
		if at < 0 || sealed[0].Methods[at].Result != policy.AuthPass {
			continue
		}
		aar := m.All("ARC-Authentication-Results")[1].Unfolded()
		_, rest, _ := strings.Cut(aar, ";")
		words := arcClause(policy.ARC{Result: policy.AuthPass, Sets: []policy.ARCSet{{Instance: 1, Results: rest}}})
		got := strings.Fields(strings.Trim(strings.Join(words[1:], " "), "()"))
		want := strings.Fields(sealed[0].Methods[at].Comments[0])
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", filepath.Base(file), got, want)
		}
		compared++
	}
	if compared == 0 {
		t.Error("no chain passes")
	}
}

// unescape tells the text again that shower has escaped.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && isEscape(s[i:]) {
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			b.WriteByte(byte(n))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func FuzzAuthenticationResults(f *testing.F) {
	f.Add("a@b.example", "h", "@c.example", "s1", "d.example", "x", uint8(0))
	f.Add("\"a; b\\\"(\"@b.example\r\nX: y", "[1.2.3.4]", "é\x00@\"", "%41", "();\\", "x)", uint8(77))
	f.Add("a@bücher.example", "", "", "", "", "", uint8(9))
	f.Fuzz(func(t *testing.T, from, helo, auid, selector, domain, problem string, mode uint8) {
		results := []policy.AuthResult{policy.AuthPass, policy.AuthFail, policy.AuthSoftFail, policy.AuthNeutral, policy.AuthNone, policy.AuthTempError, policy.AuthPermError}
		auth := policy.Authentication{
			SPF:   policy.SPF{Result: results[int(mode)%len(results)], Identity: identityMailFrom, Problem: problem},
			DKIM:  []policy.DKIM{{Result: policy.AuthPass, AUID: auid, Selector: selector, Signature: clip(problem)}, {Result: policy.AuthFail, Reason: ReasonExpired}},
			ARC:   policy.ARC{Result: policy.AuthPass, Sets: []policy.ARCSet{{Instance: 1, Results: domain + ";" + problem}}},
			DMARC: policy.DMARC{Result: policy.AuthFail, Domain: domain, Published: "none", SubdomainPolicy: "none", Policy: "none"},
		}
		if mode&1 == 1 {
			auth.SPF.Identity = identityHELO
		}
		a := arrival(from)
		a.HELO = helo
		text := AuthenticationResults(options(a, auth))
		checkLines(t, "ARC-Authentication-Results: i=50; "+text+"\r\n"+"Received-SPF: "+ReceivedSPF(options(a, auth))+"\r\n", 2)
		if got := strings.Count(text, ";"); got != 5 {
			t.Errorf("who splits at semicolons sees %d clauses in %q", got, text)
		}
		if !isFolded(text) {
			t.Errorf("cannot be sealed: %q", text)
		}
		r, err := ParseAuthenticationResults(text)
		if err != nil {
			t.Fatalf("%v\n%q", err, text)
		}
		identity := Property{"smtp.mailfrom", from}
		if mode&1 == 1 {
			identity = Property{"smtp.helo", helo}
		}
		want := [][]Property{
			{{"header.i", auid}, {"header.s", selector}, {"header.b", clip(problem)}},
			{}, {}, {identity}, {{"header.from", domain}},
		}
		var methods []string
		for i, m := range r.Methods {
			methods = append(methods, m.Method)
			expected := slices.DeleteFunc(want[min(i, 4)], func(p Property) bool { return p.Value == "" })
			if len(m.Properties) != len(expected) {
				t.Errorf("clause %d: got %q, want %q in %q", i, m.Properties, expected, text)
				continue
			}
			for j, p := range m.Properties {
				if p.Name != expected[j].Name || unescape(p.Value) != clipValue(expected[j].Value) {
					t.Errorf("clause %d: got %q, want %q", i, p, expected[j])
				}
			}
		}
		if got := strings.Join(methods, " "); got != "dkim dkim arc spf dmarc" {
			t.Errorf("got the clauses %s in %q", got, text)
		}
	})
}

// checkLines holds that lines are what a parser takes for n fields.
func checkLines(t *testing.T, text string, n int) {
	t.Helper()
	m := message.Parse([]byte(text + "\r\nbody"))
	if len(m.Fields) != n || len(m.Skipped) > 0 || string(m.Body) != "body" {
		t.Errorf("%d fields in %q", len(m.Fields), text)
	}
	for _, p := range m.Problems {
		t.Errorf("%s in %q", p.Code, text)
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			t.Errorf("a bad line: %q", line)
		}
	}
}

func FuzzParseAuthenticationResults(f *testing.F) {
	f.Add("i=1; mx.example 1; dkim=pass (a(b)) reason=\"x\" header.i=@a.example; spf=none")
	f.Add("\"mx;\\\"\"; none")
	f.Add("\"\";none")
	f.Fuzz(func(t *testing.T, value string) {
		r, err := ParseAuthenticationResults(value)
		if len(r.Methods) > maxMethods || r.ServID == "" && (err == nil || len(r.Methods) > 0) {
			t.Errorf("%q: %v, %+v", value, err, r)
		}
		for _, m := range r.Methods {
			if m.Method == "" || m.Result == "" || len(m.Properties) > maxProperties {
				t.Errorf("%q: %+v", value, m)
			}
		}
	})
}
