package mailauth

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// dmarcDiffers are the cases of the DMARC suites whose result is another here,
// and why.
var dmarcDiffers = conformance.Differences{
	"does not inherit the org policy when the author domain publishes multiple records (§4.10 step 2)": {Got: "policy=none result=fail",
		Why: "RFC 9989 4.10 discards the records and walks on; that they end the search is RFC 7489 6.6.3"},
	"malformed record":  {Got: "alignedDKIM=false alignedSPF=false result=fail", Why: "mistakes behind p= are ignored (RFC 7489 6.3), and the rest holds"},
	"malformed.example": {Got: "result=fail", Why: "mistakes behind p= are ignored (RFC 7489 6.3), and the rest holds"},
}

// cappedWalk is the case of mailauth that expects no result, but questions: its
// author has 13 labels, and the walk goes from them to the last seven (RFC 9989
// 4.10).
const cappedWalk = "walks every label and caps a >8-label author at 8 queries in the exact RFC sequence (§4.10)"

const cappedQueries = "a.b.c.d.e.f.g.h.i.j.k.example.com g.h.i.j.k.example.com h.i.j.k.example.com i.j.k.example.com j.k.example.com k.example.com example.com com"

// dmarcCase is one evaluation and what it must come to; what has no word in want
// is not compared.
type dmarcCase struct {
	set    string
	name   string
	rules  Standard
	dns    Resolver
	author string
	spf    policy.SPF
	dkim   []policy.DKIM
	want   map[string]string
}

func TestDMARCConformance(t *testing.T) {
	t.Parallel()
	cases := mailauthDMARC(t, "dmarc-verify.json", RFC7489)
	cases = append(cases, mailauthDMARC(t, "rfc9989-dmarcbis.json", RFC9989)...)
	cases = append(cases, moxDMARC(t)...)
	all := 0
	count, differ := map[string]int{}, map[string]int{}
	for _, c := range cases {
		if len(c.want) == 0 {
			continue
		}
		count[c.set]++
		d := discoverer{res: c.dns, standard: c.rules}
		r := d.evaluate(context.Background(), c.author, c.spf, c.dkim)
		got := map[string]string{
			"result": string(r.Result), "policy": r.Policy, "p": r.Published, "sp": r.SubdomainPolicy, "domain": r.PolicyDomain,
			"record": r.Record, "percent": r.Percent, "strictDKIM": fmt.Sprint(r.StrictDKIM), "strictSPF": fmt.Sprint(r.StrictSPF),
			"alignedDKIM": fmt.Sprint(r.DKIMAligned), "alignedSPF": fmt.Sprint(r.SPFAligned), "queries": policyQueries(c.dns),
		}
		var ours, theirs []string
		for _, key := range slices.Sorted(maps.Keys(c.want)) {
			ours, theirs = append(ours, key+"="+got[key]), append(theirs, key+"="+c.want[key])
		}
		if !dmarcDiffers.Compare(t, c.name, strings.Join(ours, " "), strings.Join(theirs, " ")) {
			differ[c.set]++
			all++
		}
	}
	dmarcDiffers.Missing(t, all)
	conformance.Report(t, "dmarc/mailauth, rfc7489", count["dmarc/mailauth, rfc7489"], differ["dmarc/mailauth, rfc7489"])
	conformance.Report(t, "dmarc/mailauth, rfc9989", count["dmarc/mailauth, rfc9989"], differ["dmarc/mailauth, rfc9989"])
	conformance.Report(t, "dmarc/mox, evaluation", count["dmarc/mox, evaluation"], differ["dmarc/mox, evaluation"])
	conformance.Report(t, "dmarc/mox, look-up", count["dmarc/mox, look-up"], differ["dmarc/mox, look-up"])
}

// policyQueries are the domains whose policy was asked for, in order.
func policyQueries(res Resolver) string {
	r, ok := res.(*dnszone.Resolver)
	if !ok {
		return ""
	}
	var domains []string
	for _, q := range r.Queries() {
		if domain, ok := strings.CutPrefix(q.Name, "_dmarc."); ok {
			domains = append(domains, domain)
		}
	}
	return strings.Join(domains, " ")
}

// mailauthDMARC reads a suite of postalsys/mailauth.
func mailauthDMARC(t *testing.T, file string, rules Standard) []dmarcCase {
	type named struct{ Domain string }
	var data struct {
		Cases []struct {
			Name  string
			Zone  map[string]json.RawMessage
			Calls []struct {
				Input struct {
					HeaderFrom              json.RawMessage
					DKIMDomains, SPFDomains []json.RawMessage
				}
				Expect []struct {
					Field, Op string
					Value     any
				}
			}
		}
	}
	if err := json.Unmarshal(read(t, conformance.Path(t, "dmarc/mailauth"), file), &data); err != nil {
		t.Fatal(err)
	}
	domain := func(raw json.RawMessage) string {
		var n named
		var s string
		if json.Unmarshal(raw, &n) != nil && json.Unmarshal(raw, &s) != nil {
			t.Fatalf("unknown shape: %s", raw)
		}
		return n.Domain + s
	}
	var cases []dmarcCase
	for _, c := range data.Cases {
		for _, call := range c.Calls {
			var from []string
			if call.Input.HeaderFrom[0] == '[' {
				if err := json.Unmarshal(call.Input.HeaderFrom, &from); err != nil {
					t.Fatal(err)
				}
			} else {
				from = []string{domain(call.Input.HeaderFrom)}
			}
			d := dmarcCase{set: "dmarc/mailauth, " + string(rules), name: c.Name, rules: rules, dns: jsonZone(t, c.Zone), want: map[string]string{}}
			list := strings.Join(from, ", ")
			if !strings.Contains(list, "@") {
				list = "a@" + list // Given without the local part.
			}
			author, problem := authorDomain(message.Parse([]byte("From: " + list + "\r\n\r\n")))
			if d.author = author; problem != "" {
				t.Fatalf("%s: %s", c.Name, problem)
			}
			for _, raw := range call.Input.DKIMDomains {
				d.dkim = append(d.dkim, policy.DKIM{Result: policy.AuthPass, Domain: domain(raw)})
			}
			for _, raw := range call.Input.SPFDomains {
				d.spf = policy.SPF{Result: policy.AuthPass, Domain: domain(raw)}
			}
			for _, e := range call.Expect {
				value := fmt.Sprint(e.Value)
				switch e.Field + " " + e.Op {
				case "status.result equal":
					d.want["result"] = value
				case "policy equal", "p equal", "sp equal", "domain equal":
					d.want[e.Field] = value
				case "rr equal":
					d.want["record"] = value
				case "alignment.dkim.strict be.true", "alignment.dkim.strict be.false":
					d.want["strictDKIM"] = strings.TrimPrefix(e.Op, "be.")
				case "alignment.spf.strict be.true", "alignment.spf.strict be.false":
					d.want["strictSPF"] = strings.TrimPrefix(e.Op, "be.")
				case "pct equal":
					d.want["percent"] = value
				case " be.false": // Nothing was evaluated.
					d.want["result"] = "none"
				case "alignment.dkim.result not be.ok":
					d.want["alignedDKIM"] = "false"
				case "alignment.spf.result equal":
					d.want["alignedSPF"] = "true"
				case " not have.property": // Of ours there is always the field; it is empty.
					d.want[map[string]string{"pct": "percent", "policy": "policy"}[value]] = ""
				case "info include":
					d.want["result"] = strings.TrimPrefix(value, "dmarc=")
				case "error equal", "info be.a", "status.comment include", "alignment.dkim.underSized equal":
					// Words and shapes of upstream's that are not ours.
				default:
					t.Errorf("%s: unknown expectation %+v", c.Name, e)
				}
			}
			if c.Name == cappedWalk {
				d.want["queries"] = cappedQueries
			}
			cases = append(cases, d)
		}
	}
	return cases
}

// jsonZone makes a zone; "*" with an error is a zone where every look-up fails.
func jsonZone(t *testing.T, zone map[string]json.RawMessage) Resolver {
	z := dnszone.New()
	for name, raw := range zone {
		if name == "*" {
			for _, err := range z.Load("zone", "* FAULT timeout") {
				t.Error(err)
			}
			continue
		}
		var types struct {
			TXT [][]string
			A   []string
			MX  []struct {
				Exchange string
				Priority uint16
			}
		}
		if err := json.Unmarshal(raw, &types); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, parts := range types.TXT {
			if err := z.AddTXT(name, strings.Join(parts, "")); err != nil {
				t.Error(err)
			}
		}
		for _, a := range types.A {
			if err := z.AddA(name, netip.MustParseAddr(a)); err != nil {
				t.Error(err)
			}
		}
		for _, mx := range types.MX {
			if err := z.AddMX(name, mx.Priority, mx.Exchange); err != nil {
				t.Error(err)
			}
		}
	}
	return dnszone.NewResolver(z, dnszone.Options{})
}

// moxDMARC reads the evaluations and look-ups of mox, which are RFC 7489's.
func moxDMARC(t *testing.T) []dmarcCase {
	type auth struct {
		Result string
		Domain string
	}
	var data struct {
		Verify struct {
			ZoneTXT map[string][]string `json:"zone_txt"`
			Cases   []struct {
				Name   string
				From   string `json:"header_from_domain"`
				DKIM   []auth
				SPF    auth
				Expect struct {
					Status      string
					AlignedSPF  bool `json:"aligned_spf_pass"`
					AlignedDKIM bool `json:"aligned_dkim_pass"`
				}
			}
		}
		Lookup struct {
			ZoneTXT map[string]any `json:"zone_txt"`
			Cases   []struct{ Domain, Status, Why string }
		}
	}
	if err := json.Unmarshal(read(t, conformance.Path(t, "dmarc/mox"), "mox-dmarc.json"), &data); err != nil {
		t.Fatal(err)
	}
	var cases []dmarcCase
	for _, c := range data.Verify.Cases {
		d := dmarcCase{set: "dmarc/mox, evaluation", name: c.Name, rules: RFC7489, dns: texts(data.Verify.ZoneTXT), author: c.From, want: map[string]string{
			"result": c.Expect.Status, "alignedSPF": fmt.Sprint(c.Expect.AlignedSPF), "alignedDKIM": fmt.Sprint(c.Expect.AlignedDKIM),
		}}
		d.spf = policy.SPF{Result: policy.AuthResult(c.SPF.Result), Domain: c.SPF.Domain}
		for _, s := range c.DKIM {
			k := policy.DKIM{Result: policy.AuthResult(s.Result), Domain: s.Domain}
			if k.Result == policy.AuthTempError {
				k.Reason = ReasonDNS
			}
			d.dkim = append(d.dkim, k)
		}
		cases = append(cases, d)
	}
	dns := texts{}
	for name, v := range data.Lookup.ZoneTXT {
		switch v := v.(type) {
		case string:
			dns.add(name, "TEMPERROR")
		case []any:
			for _, s := range v {
				dns.add(name, s.(string))
			}
		}
	}
	for _, c := range data.Lookup.Cases {
		want := map[string]string{}
		if c.Status != "none" {
			want["result"] = c.Status
		} else if strings.HasPrefix(c.Why, "record") {
			want["p"] = "none"
		} else {
			want["record"] = ""
		}
		cases = append(cases, dmarcCase{set: "dmarc/mox, look-up", name: c.Domain, rules: RFC7489, dns: dns, author: c.Domain, want: want})
	}
	return cases
}

func TestDMARCRecordConformance(t *testing.T) {
	t.Parallel()
	var data struct {
		Syntax struct {
			Fail  []string `json:"must_fail"`
			Parse []string `json:"must_parse"`
		} `json:"record_syntax"`
	}
	if err := json.Unmarshal(read(t, conformance.Path(t, "dmarc/mox"), "mox-dmarc.json"), &data); err != nil {
		t.Fatal(err)
	}
	for _, text := range data.Syntax.Parse {
		if r, ok := parseDMARC(text, RFC7489); !ok || !r.usable {
			t.Errorf("%q does not parse: %v %+v", text, ok, r)
		}
	}
	for _, text := range data.Syntax.Fail {
		if r, ok := parseDMARC(text, RFC7489); ok && r.usable {
			t.Errorf("%q is usable: %+v", text, r)
		}
	}
	conformance.Report(t, "dmarc/mox, records", len(data.Syntax.Parse)+len(data.Syntax.Fail), 0)
}

func TestPublicSuffixConformance(t *testing.T) {
	t.Parallel()
	count := 0
	for line := range strings.Lines(string(read(t, conformance.Path(t, "dmarc/publicsuffix"), "test_psl.txt"))) {
		call, ok := strings.CutPrefix(strings.TrimSpace(line), "checkPublicSuffix(")
		if !ok {
			continue
		}
		count++
		domain, want, _ := strings.Cut(strings.TrimSuffix(call, ");"), ", ")
		unquote := func(s string) string { return strings.Trim(strings.TrimSpace(s), "'") }
		domain, want = unquote(domain), unquote(want)
		if want == "null" {
			want = ""
		}
		if got := registeredDomain(normalDomain(domain)); got != normalDomain(want) {
			t.Errorf("%s: got %q, want %q", domain, got, want)
		}
	}
	conformance.Report(t, "dmarc/publicsuffix", count, 0)
}
