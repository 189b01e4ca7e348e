package mailauth

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// milterDiffers are the messages of the milter's suite for which a method has
// another result here, by the file that has the milter's result, and method; and
// why.
var milterDiffers = conformance.Differences{
	"google_apps_bad_space.eml spf":        {Got: "none", Why: spaceInPath},
	"google_apps_bad_space.eml dmarc":      {Got: "fail", Why: spaceInPath},
	"google_apps_bad_space.smtp.eml spf":   {Got: "none", Why: spaceInPath},
	"google_apps_bad_space.smtp.eml dmarc": {Got: "fail", Why: spaceInPath},
	"dmarc_multi_2.eml spf": {Got: "softfail", Why: "MAIL FROM has two addresses: no Reverse-path (RFC 5321 4.1.2), so that our server answers 553 and SPF is not reached; " +
		"the milter takes none of them, our evaluation by itself the last"},
	"dmarc_multi.eml dmarc":                     {Got: "permerror", Why: twoFields},
	"dmarc_multi_2.eml dmarc":                   {Got: "permerror", Why: twoFields},
	"dmarc_reject_wl.eml dkim":                  {Got: "policy", Why: "rsa-sha1 does not count (RFC 8301 3.1)"},
	"dmarc_reject_wl.smtp.eml dkim":             {Got: "policy", Why: "rsa-sha1 does not count (RFC 8301 3.1)"},
	"spam_headers.smtp.eml dmarc":               loneAddress,
	"spam_headers_hide_none.eml dmarc":          loneAddress,
	"spam_headers_hide_none.smtp.eml dmarc":     loneAddress,
	"spam_headers_spf_hide_none.eml dmarc":      loneAddress,
	"spam_headers_spf_hide_none.smtp.eml dmarc": loneAddress,
}

const (
	spaceInPath = "the domain of MAIL FROM begins with a space, which no Domain does (RFC 5321 4.1.2), so that our server answers 553; the milter drops the space, " +
		"and for our evaluation the domain is malformed: none, by RFC 7208 4.3, and then nothing is aligned"
	twoFields = "two From fields, with three domains: RFC 5322 3.6 allows one field, and RFC 9989 5.3.1 leaves such mail out of its scope; " +
		"the milter evaluates each domain, we none"
)

// loneAddress: its domain has no DMARC record.
var loneAddress = conformance.Difference{Got: "none", Why: "From has a quoted string without an address and then an address: no mailbox-list by RFC 5322 3.4, and RFC 9989 5.3.1 leaves such mail " +
	"out of its scope; the milter gives up, we take the one domain that there is"}

// TestMilterConformance authenticates the messages of the authentication
// milter's suite, and compares what Authentication-Results then says of SPF, DKIM
// and DMARC. Of what the milter did not look at, for the client was one that it
// trusts, nothing is compared.
func TestMilterConformance(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "auth-e2e/authentication-milter")
	var data struct {
		Cases []struct {
			IP, Name, From, File string
			ExpectedFile         string `json:"expected_file"`
			Expected             map[string]any
		}
	}
	if err := json.Unmarshal(read(t, dir, "expected.json"), &data); err != nil {
		t.Fatal(err)
	}
	v := &Verifier{Resolver: dnszone.NewResolver(masterFile(t, string(read(t, dir, "zonefile"))), dnszone.Options{}), Now: at(1_420_000_000)}
	cases, differs, methods := 0, 0, 0
	for _, c := range data.Cases {
		a := arrival(strings.Trim(strings.TrimSuffix(c.From, " BODY=8BITMIME"), "<>"))
		a.HELO, a.Peer = c.Name, netip.MustParseAddr(c.IP)
		// For some clients the milter takes another address, and says so.
		if line, ok := c.Expected["received_spf"].(string); ok {
			_, ip, _ := strings.Cut(strings.TrimSpace(line), "client-ip=")
			_, helo, _ := strings.Cut(line, "helo=")
			helo, _, _ = strings.Cut(helo, ";")
			a.Peer, a.HELO = netip.MustParseAddr(ip), helo
		}
		m := message.Parse(crlf(read(t, dir, c.File)))
		text := AuthenticationResults(options(a, v.Authenticate(t.Context(), a, m)))
		r, err := ParseAuthenticationResults(text)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]policy.AuthResult{"spf": policy.AuthNone, "dkim": policy.AuthNone, "dmarc": policy.AuthNone}
		for _, m := range r.Methods {
			result := m.Result
			if result == policy.AuthNeutral && strings.Contains(strings.Join(m.Comments, ""), "body hash") {
				result = policy.AuthFail // Gmail's word for it.
			}
			if got[m.Method] != policy.AuthPass {
				got[m.Method] = result
			}
		}
		same, compared := true, false
		for _, method := range []string{"spf", "dkim", "dmarc"} {
			want, ok := c.Expected[method]
			if !ok {
				continue
			}
			compared = true
			key := strings.TrimPrefix(c.ExpectedFile, "example/") + " " + method
			if !milterDiffers.Compare(t, key, string(got[method]), fmt.Sprint(want)) {
				same = false
				methods++
			}
		}
		if compared {
			cases++
		}
		if !same {
			differs++
		}
	}
	milterDiffers.Missing(t, methods)
	conformance.Report(t, "auth-e2e/authentication-milter", cases, differs)
}

var (
	masterLine   = regexp.MustCompile(`^(\S+)\s+(?:\d+\s+)?(?:IN\s+)?(A|AAAA|MX|TXT|PTR|CNAME)\s+(.+)$`)
	masterString = regexp.MustCompile(`"([^"]*)"`)
)

// masterFile reads those lines of a master file that have records that are asked
// for.
func masterFile(t *testing.T, text string) *dnszone.Zone {
	z := dnszone.New()
	for line := range strings.Lines(text) {
		f := masterLine.FindStringSubmatch(strings.TrimSpace(line))
		if f == nil {
			continue
		}
		name, value := strings.TrimSuffix(f[1], "."), f[3]
		var err error
		switch f[2] {
		case "A", "AAAA":
			err = z.AddA(name, netip.MustParseAddr(value))
		case "MX":
			var n uint16
			var host string
			if _, err = fmt.Sscan(value, &n, &host); err == nil {
				err = z.AddMX(name, n, host)
			}
		case "TXT":
			var joined strings.Builder
			for _, s := range masterString.FindAllStringSubmatch(value, -1) {
				joined.WriteString(s[1])
			}
			if joined.Len() == 0 {
				joined.WriteString(value)
			}
			err = z.AddTXT(name, joined.String())
		default:
			for _, problem := range z.Load("zonefile", name+" "+f[2]+" "+value) {
				err = problem
			}
		}
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	return z
}
