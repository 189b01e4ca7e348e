package mailauth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// dmarcDiffers are the cases of the DMARC suites whose result is another here,
// and why.
var dmarcDiffers = map[string]string{
	"does not inherit the org policy when the author domain publishes multiple records (§4.10 step 2)": "RFC 9989 4.10 discards the records and walks on; that they end the search is RFC 7489 6.6.3",
	"malformed record":  "mistakes behind p= are ignored (RFC 7489 6.3), and the rest holds",
	"malformed.example": "mistakes behind p= are ignored (RFC 7489 6.3), and the rest holds",
}

// dmarcCase is one evaluation and what it must come to; an empty word is not
// compared.
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
	differ := map[string]bool{}
	count, justified := map[string]int{}, map[string]int{}
	for _, c := range cases {
		count[c.set]++
		d := discoverer{res: c.dns, standard: c.rules}
		r := d.evaluate(context.Background(), c.author, c.spf, c.dkim)
		got := map[string]string{
			"result": string(r.Result), "policy": r.Policy, "p": r.Published, "sp": r.SubdomainPolicy, "domain": r.PolicyDomain,
			"record": r.Record, "percent": r.Percent, "strictDKIM": fmt.Sprint(r.StrictDKIM), "strictSPF": fmt.Sprint(r.StrictSPF),
			"alignedDKIM": fmt.Sprint(r.DKIMAligned), "alignedSPF": fmt.Sprint(r.SPFAligned),
		}
		for key, want := range c.want {
			if got[key] == want {
				continue
			}
			if !differ[c.name] {
				justified[c.set]++
			}
			differ[c.name] = true
			if dmarcDiffers[c.name] == "" {
				t.Errorf("%s: %s is %q, want %q: %+v", c.name, key, got[key], want, r)
			}
		}
	}
	for name, why := range dmarcDiffers {
		if !differ[name] {
			t.Errorf("%s does not differ any more: %s", name, why)
		}
	}
	for set, n := range count {
		conformance.Report(t, set, n, justified[set])
	}
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
				case " not have.property": // That there is no pct is the type's business.
				case "error equal", "info be.a", "info include", "status.comment include", "alignment.dkim.underSized equal":
					// Upstream's words and shapes, for what the result says too.
				default:
					t.Errorf("%s: unknown expectation %+v", c.Name, e)
				}
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
