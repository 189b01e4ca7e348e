package mailauth

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// headersDiffer are the cases of authheaders whose result is another here, and
// why.
var headersDiffer = conformance.Differences{
	"test_authenticate_dmarc_bad":        {Got: "dmarc=fail from=bad.example.com policy=none", Why: "what is no tag is ignored (RFC 9989 4.8), and p=none holds"},
	"test_authenticate_dmarc_mult_from":  severalAuthors,
	"test_authenticate_dmarc_mult_from2": severalAuthors,
}

// severalAuthors: the set takes the strictest policy, which is left open.
var severalAuthors = conformance.Difference{Got: "dkim=fail dkim=pass dmarc=permerror from= policy=",
	Why: "with several author domains there is no validation (RFC 9989 5.3.1)"}

// TestAuthHeadersConformance runs the messages of ValiMail's authentication
// headers. Some results are given, in a field that our reader reads.
func TestAuthHeadersConformance(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "dmarc/authheaders")
	var data struct {
		DNS   map[string]map[string]*string
		Cases []struct {
			Name, DNS, File string
			Options         struct {
				Prev     string
				DKIM     *bool
				DMARCbis bool
			}
			Expected string `json:"expected_authentication_results"`
		}
		From []struct{ From, Domain string } `json:"from_header_domain"`
	}
	if err := json.Unmarshal(read(t, dir, "expected.json"), &data); err != nil {
		t.Fatal(err)
	}
	results := func(field string) AuthResults {
		r, err := ParseAuthenticationResults(strings.TrimPrefix(field, "Authentication-Results:"))
		if err != nil {
			t.Errorf("%q: %v", field, err)
		}
		return r
	}
	differ := 0
	for _, c := range data.Cases {
		z := dnszone.New()
		for name, text := range data.DNS[c.DNS] {
			var err error
			switch {
			case text == nil || *text == "": // There is nothing there.
			case *text == "<file test.txt>":
				err = z.AddTXT(name, strings.TrimSpace(string(read(t, dir, "test.txt"))))
			case strings.Contains(*text, "="):
				err = z.AddTXT(name, *text)
			default: // A host.
				err = z.AddA(name, netip.MustParseAddr("192.0.2.1"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		// Without its option the suite finds domains by the public suffix list.
		v := &Verifier{Resolver: dnszone.NewResolver(z, dnszone.Options{}), Now: at(1_500_000_000), Discovery: PublicSuffix}
		if c.Options.DMARCbis {
			v.Discovery = TreeWalk
		}
		m := message.Parse(crlf(read(t, dir, c.File)))
		auth := v.Authenticate(t.Context(), policy.Arrival{}, m)
		d := discoverer{res: v.Resolver, mode: v.Discovery}
		if c.Options.DKIM != nil && !*c.Options.DKIM {
			auth.DKIM = nil
		}
		for _, given := range results(cmp.Or(c.Options.Prev, "none.example; none")).Methods {
			domain := given.domain("header.d", "smtp.mailfrom")
			if given.Method == "spf" {
				auth.SPF = policy.SPF{Result: given.Result, Domain: domain}
			} else {
				auth.DKIM = append(auth.DKIM, policy.DKIM{Result: given.Result, Domain: domain})
			}
		}
		if author, problem := authorDomain(m); problem == "" {
			auth.DMARC = d.evaluate(t.Context(), author, auth.SPF, auth.DKIM)
		}
		got := map[string]string{
			"spf": string(auth.SPF.Result), "dkim": "none", "arc": string(auth.ARC.Result),
			"dmarc": string(auth.DMARC.Result), "from": auth.DMARC.Domain, "policy": auth.DMARC.Policy,
		}
		var ours, theirs []string
		compare := func(key, want string) {
			ours, theirs = append(ours, key+"="+got[key]), append(theirs, key+"="+want)
		}
		i := 0
		for _, want := range results(c.Expected).Methods {
			key := want.Method
			if key == "dkim" && i < len(auth.DKIM) {
				got["dkim"] = string(auth.DKIM[i].Result)
				i++
			}
			compare(key, string(want.Result))
			if from, ok := want.Get("header.from"); ok && from != "none" {
				published, _ := want.Get("policy.dmarc")
				compare("from", from)
				compare("policy", published)
			}
		}
		if !headersDiffer.Compare(t, c.Name, strings.Join(ours, " "), strings.Join(theirs, " ")) {
			differ++
		}
	}
	headersDiffer.Missing(t, differ)
	for _, c := range data.From {
		if domain, problem := authorDomain(message.Parse([]byte("From: " + c.From + "\r\n\r\n"))); domain != c.Domain {
			t.Errorf("%s: got %q (%s), want %s", c.From, domain, problem, c.Domain)
		}
	}
	conformance.Report(t, "dmarc/authheaders", len(data.Cases), differ)
	conformance.Report(t, "dmarc/authheaders, From", len(data.From), 0)
}
