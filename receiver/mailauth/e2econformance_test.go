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
// another result here, by file and method, and why.
var milterDiffers = map[string]string{
	"google_apps_bad_space.eml spf":   spaceInPath,
	"google_apps_bad_space.eml dmarc": spaceInPath,
	"dmarc_multi.eml spf":             "MAIL FROM has two addresses, and a reverse-path one (RFC 5321 4.1.2): the milter then takes none, we the last",
	"dmarc_multi.eml dmarc":           severalAuthors,
	"dmarc_reject_wl.eml dkim":        "rsa-sha1 does not count (RFC 8301 3.1)",
	"spam_headers.eml dmarc":          "From has a phrase without an address, and one address: that is one domain (RFC 9989 5.3.1)",
}

const spaceInPath = "the domain of MAIL FROM begins with a space, which no domain has (RFC 5321 4.1.2): none, by RFC 7208 4.3"

// TestMilterConformance authenticates the messages of the authentication
// milter's suite, and compares what Authentication-Results then says of SPF, DKIM
// and DMARC. Of what the milter did not look at, for the client was one that it
// trusts, nothing is compared.
func TestMilterConformance(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "auth-e2e/authentication-milter")
	var data struct {
		Cases []struct {
			Desc, IP, Name, From, File string
			Expected                   map[string]any
		}
	}
	if err := json.Unmarshal(read(t, dir, "expected.json"), &data); err != nil {
		t.Fatal(err)
	}
	v := &Verifier{Resolver: dnszone.NewResolver(masterFile(t, string(read(t, dir, "zonefile"))), dnszone.Options{}), Now: at(1_420_000_000)}
	differs, known := 0, map[string]bool{}
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
		same := true
		for _, method := range []string{"spf", "dkim", "dmarc"} {
			want, ok := c.Expected[method]
			if !ok || fmt.Sprint(want) == string(got[method]) {
				continue
			}
			same = false
			key := strings.TrimPrefix(c.File, "source/") + " " + method
			known[key] = true
			if milterDiffers[key] == "" {
				t.Errorf("%s, %s: %s is %s, want %v\n%s", c.Desc, c.File, method, got[method], want, text)
			}
		}
		if !same {
			differs++
		}
	}
	for key, why := range milterDiffers {
		if !known[key] {
			t.Errorf("%s does not differ any more: %s", key, why)
		}
	}
	conformance.Report(t, "auth-e2e/authentication-milter", len(data.Cases), differs)
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
