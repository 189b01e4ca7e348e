package mailauth

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// libraryDiffers are the messages of the corpora for which go-msgauth, run
// beside our verifier, comes to another result, and why.
var libraryDiffers = map[string]string{
	"mail-dkim/no_body_1.txt":                  "the message ends without an empty line: the library gives up on all of it",
	"mail-dkim/badkey_14.txt":                  "rsa-sha1 and a DNS failure: the library asks for the key before it looks at the algorithm",
	"mail-dkim/badkey_15.txt":                  "rsa-sha1 and a DNS failure: the library asks for the key before it looks at the algorithm",
	"stalwart/005.txt":                         "x= has passed: the library has no other clock than the wall's",
	"chasquid/11-strict_domain_check_fail.msg": "the library does not know t=s",
	"chasquid/07-algo_mismatch.msg":            "keys of two kinds at one name: the library takes the first",
	"chasquid/09-limited_body.msg":             "the library refuses l=",
	"chasquid/03-bad_message.msg":              "no message: the library gives an error, we find no signature",
}

// corpusDiffers are the reasons for which our result is another than the one
// that the corpus expects.
var corpusDiffers = map[policy.Reason]string{
	ReasonAlgorithmWeak: "the corpus is older than RFC 8301 3.1, which forbids rsa-sha1",
	ReasonVersion:       "the signature is of a draft older than RFC 4871; v=1 is required since (RFC 6376 3.5)",
}

// messageDiffers are the messages whose results are others as a whole, and why.
var messageDiffers = map[string]string{
	"chasquid/02-too_many_headers.msg": "chasquid evaluates five signatures, we ten; RFC 6376 6.1 leaves the number to the verifier",
}

// domainKeys is why a DomainKey-Signature is not evaluated.
const domainKeys = "DomainKeys is historic (RFC 4870, obsoleted by RFC 4871), and no field of DKIM's (RFC 6376 3.5)"

// dkimCase is one message of a corpus.
type dkimCase struct {
	name string
	raw  []byte
	dns  texts
	now  int64
	// want is what the corpus says: of each signature, or of one that decides.
	want []string
	// older says why nothing of it is evaluated.
	older string
}

// word puts our results into the corpora's terms: pass, fail, temp, or invalid
// for one that was not evaluated.
func word(s policy.DKIM) string {
	switch s.Result {
	case policy.AuthPass, policy.AuthFail:
		return string(s.Result)
	case policy.AuthTempError:
		return "temp"
	}
	return "invalid"
}

func TestDKIMConformance(t *testing.T) {
	t.Parallel()
	var cases []dkimCase
	for _, corpus := range []func(*testing.T) []dkimCase{mailDKIM, stalwart, chasquid, others} {
		list := corpus(t)
		if len(list) == 0 {
			t.Error("an empty corpus")
		}
		cases = append(cases, list...)
	}
	differ, seen := map[string]bool{}, map[policy.Reason]bool{}
	count, justified := map[string]int{}, map[string]int{}
	for _, c := range cases {
		set, _, _ := strings.Cut(c.name, "/")
		count[set]++
		v := &Verifier{Resolver: c.dns, Now: at(c.now), Profile: RFC, Keys: NewKeyCache()}
		results := dkimOf(v, c.raw)
		var got []string
		for _, s := range results {
			got = append(got, word(s))
		}
		as := c.older == ""
		if as == (len(results) == 0) && len(c.want) > 0 {
			t.Errorf("%s: %d signatures, want %q %s", c.name, len(results), c.want, c.older)
			continue
		}
		if len(c.want) == 0 && len(results) > 0 {
			t.Errorf("%s: %d signatures, want none", c.name, len(results))
		}
		for i, want := range c.want {
			switch {
			case c.older != "":
				as = want != "pass" // What is not evaluated does not pass.
			case i >= len(results):
				t.Errorf("%s: signature %d was not found", c.name, i)
			case got[i] != want && corpusDiffers[results[i].Reason] == "" && messageDiffers[c.name] == "":
				t.Errorf("%s: signature %d: got %s (%s), want %s", c.name, i, results[i].Result, results[i].Problem, want)
			case got[i] != want:
				as = false
				seen[results[i].Reason] = true
			}
		}
		if !as {
			justified[set]++
		}
		if (messageDiffers[c.name] != "") == as && messageDiffers[c.name] != "" {
			t.Errorf("%s does not differ any more", c.name)
		}
		if library := libraryWords(c); library != strings.Join(got, " ") {
			differ[c.name] = true
			if libraryDiffers[c.name] == "" {
				t.Errorf("%s: got %q, go-msgauth has %q", c.name, got, library)
			}
		}
	}
	for reason, why := range corpusDiffers {
		if !seen[reason] {
			t.Errorf("%s does not differ any more: %s", reason, why)
		}
	}
	for name, why := range libraryDiffers {
		if !differ[name] {
			t.Errorf("%s does not differ any more: %s", name, why)
		}
	}
	for set, n := range count {
		conformance.Report(t, "dkim/"+set, n, justified[set])
	}
}

// libraryWords are go-msgauth's results in the corpora's terms.
func libraryWords(c dkimCase) string {
	list, err := dkim.VerifyWithOptions(bytes.NewReader(c.raw), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return c.dns.LookupTXT(context.Background(), name) },
	})
	if err != nil {
		return err.Error()
	}
	var words []string
	for _, v := range list {
		switch {
		case v.Err == nil:
			words = append(words, "pass")
		case dkim.IsTempFail(v.Err):
			words = append(words, "temp")
		case dkim.IsPermFail(v.Err):
			words = append(words, "invalid")
		default:
			words = append(words, "fail")
		}
	}
	return strings.Join(words, " ")
}

func mailDKIM(t *testing.T) []dkimCase {
	dir := conformance.Path(t, "dkim/mail-dkim")
	var data struct {
		Cases  []struct{ File, Expected, Kind string }
		Strict []struct {
			File     string
			Expected string `json:"expected_strict"`
		}
	}
	if err := json.Unmarshal(read(t, dir, "expected.json"), &data); err != nil {
		t.Fatal(err)
	}
	dns := texts{}
	for line := range strings.Lines(string(read(t, dir, "FAKE_DNS.dat"))) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			name, text, _ := strings.Cut(line, " ")
			dns.add(name, text)
		}
	}
	var cases []dkimCase
	for _, c := range data.Cases {
		older := ""
		if strings.HasPrefix(c.Kind, "domainkeys") {
			older = domainKeys
		}
		name, want := "mail-dkim/"+filepath.Base(c.File), []string{c.Expected}
		if name == "mail-dkim/multiple_2.txt" {
			want = []string{"invalid", "pass", "fail"} // So its note says.
		}
		cases = append(cases, dkimCase{name, crlf(read(t, dir, c.File)), dns, 1_700_000_000, want, older})
	}
	for _, c := range data.Strict {
		cases = append(cases, dkimCase{"mail-dkim/" + filepath.Base(c.File) + ", strict", crlf(read(t, dir, c.File)), dns, 1_700_000_000, []string{c.Expected}, ""})
	}
	return cases
}

// stalwart messages pass at one time.
func stalwart(t *testing.T) []dkimCase {
	dir := conformance.Path(t, "dkim/stalwart")
	files, err := filepath.Glob(filepath.Join(dir, "0*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []dkimCase
	for _, file := range files {
		head, body, _ := strings.Cut(strings.ReplaceAll(string(read(t, file)), "\r\n", "\n"), "\n\n")
		dns := texts{}
		for line := range strings.SplitSeq(head, "\n") {
			name, text, _ := strings.Cut(line, " ")
			dns.add(name, text)
		}
		cases = append(cases, dkimCase{"stalwart/" + filepath.Base(file), crlf([]byte(body)), dns, 1_667_843_664, []string{"pass"}, ""})
	}
	return cases
}

func chasquid(t *testing.T) []dkimCase {
	dir := conformance.Path(t, "dkim/chasquid")
	dns := func(file string) texts {
		dns := texts{}
		text := strings.ReplaceAll(string(read(t, dir, file)), "\\\n", "")
		for line := range strings.Lines(text) {
			if name, text, ok := strings.Cut(line, ":"); ok {
				dns.add(name, strings.TrimSpace(text))
			}
		}
		return dns
	}
	var cases []dkimCase
	for _, c := range []struct {
		name, dns string
		want      string
	}{
		{"01-rfc8463", "01-rfc8463", "pass pass"},
		{"02-too_many_headers", "01-rfc8463", "pass pass pass pass pass invalid invalid"},
		{"03-bad_message", "01-rfc8463", ""},
		{"04-bad_dkim_signature_header", "01-rfc8463", "invalid"},
		{"05-dns_temp_error", "05-dns_temp_error", "temp pass"},
		{"06-dns_perm_error", "06-dns_perm_error", "invalid pass"},
		{"07-algo_mismatch", "07-algo_mismatch", "pass pass"},
		{"08-our_signature", "08-our_signature", "pass pass pass"},
		{"09-limited_body", "08-our_signature", "pass pass pass"},
		{"10-strict_domain_check_pass", "10-strict_domain_check_pass", "pass pass"},
		{"11-strict_domain_check_fail", "11-strict_domain_check_fail", "invalid"},
	} {
		// Some of its cases share a message.
		message := c.name
		if c.name == "07-algo_mismatch" || c.name == "10-strict_domain_check_pass" {
			message = "01-rfc8463"
		}
		cases = append(cases, dkimCase{"chasquid/" + c.name + ".msg", crlf(read(t, dir, message+".msg")), dns(c.dns + ".dns"),
			1_709_466_400, strings.Fields(c.want), ""})
	}
	return cases
}

func others(t *testing.T) []dkimCase {
	dir := conformance.Path(t, "dkim")
	var zone map[string]struct{ TXT [][]string }
	if err := json.Unmarshal(read(t, dir, "mailauth/dns.json"), &zone); err != nil {
		t.Fatal(err)
	}
	rfc8463 := texts{}
	for name, records := range zone {
		for _, parts := range records.TXT {
			rfc8463.add(name, strings.Join(parts, ""))
		}
	}
	key := string(read(t, dir, "mimekit/gmail.pub"))
	key = strings.TrimPrefix(strings.TrimSpace(key), "-----BEGIN PUBLIC KEY-----")
	key = "k=rsa; p=" + strings.Join(strings.Fields(strings.TrimSuffix(key, "-----END PUBLIC KEY-----")), "")
	gmail := crlf(read(t, dir, "mimekit/gmail.msg"))
	gmailDNS := texts{}
	for _, s := range dkimOf(&Verifier{Resolver: texts{}, Now: at(0)}, gmail) {
		gmailDNS.add(s.Selector+"._domainkey."+s.Domain, key)
	}
	const now = 1_600_000_000
	var cases []dkimCase
	add := func(name string, dns texts, want ...string) {
		cases = append(cases, dkimCase{name, crlf(read(t, dir, name)), dns, now, want, ""})
	}
	add("mailauth/signed.eml", rfc8463, "pass", "pass")
	add("mimekit/rfc8463-example.msg", rfc8463, "pass", "pass")
	add("mimekit/gmail.msg", gmailDNS, "pass")
	exim := texts{}
	exim.add("sed._domainkey.test.ex", string(read(t, dir, "dkimpy/eximtest.dns")))
	add("dkimpy/ed25519test2.msg", exim, "pass")
	// The key of these is in another set.
	var keys struct {
		DNS map[string]map[string]any
	}
	if err := json.Unmarshal(read(t, conformance.Path(t, "dmarc/authheaders"), "expected.json"), &keys); err != nil {
		t.Fatal(err)
	}
	google := texts{}
	google.add("20120113._domainkey.gmail.com", keys.DNS["TestAuthenticateMessage"]["20120113._domainkey.gmail.com."].(string))
	add("dkimpy/test2.message", google, "pass")
	add("mimekit/multipart-no-end-boundary.msg", google, "pass")
	add("dkimpy/message.mbox", google, "invalid") // Its key is lost.
	for _, unsigned := range []string{"ed25519test.msg", "rfc6376.msg", "test.message", "test_extra.message", "test_nofrom.message"} {
		add("dkimpy/"+unsigned, google)
	}
	// One signed message under keys that are right and wrong.
	signed := crlf(read(t, dir, "dkimpy/rfc6376.signed.msg"))
	for file, want := range map[string]string{
		"test": "pass", "test2": "pass", "badk": "invalid", "badversion": "invalid", "test_bad": "invalid", "test_tlsrpt": "invalid",
	} {
		dns := texts{}
		dns.add("test._domainkey.football.example.com", string(read(t, dir, "dkimpy/"+file+".txt")))
		dns.add("brisbane._domainkey.football.example.com", rfc8463["brisbane._domainkey.football.example.com"][0])
		cases = append(cases, dkimCase{"dkimpy/" + file + ".txt", signed, dns, now, []string{"pass", want}, ""})
	}
	return cases
}
