package mailauth

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// libraryDiffers are the messages of the corpora for which go-msgauth, run
// beside our verifier, comes to another result: its own, and why.
var libraryDiffers = conformance.Differences{
	"mail-dkim/no_body_1.txt":                  {Got: "failed to read header: EOF", Why: "the message ends without an empty line: the library gives up on all of it"},
	"mail-dkim/badkey_14.txt":                  {Got: "temp", Why: "rsa-sha1 and a DNS failure: the library asks for the key before it looks at the algorithm"},
	"mail-dkim/badkey_15.txt":                  {Got: "temp", Why: "rsa-sha1 and a DNS failure: the library asks for the key before it looks at the algorithm"},
	"stalwart/005.txt":                         {Got: "invalid", Why: "x= has passed: the library has no other clock than the wall's"},
	"chasquid/11-strict_domain_check_fail.msg": {Got: "pass", Why: "the library does not know t=s"},
	"chasquid/07-algo_mismatch.msg":            {Got: "invalid pass", Why: "keys of two kinds at one name: the library takes the first"},
	"chasquid/09-limited_body.msg":             {Got: "fail pass pass", Why: "the library refuses l="},
	"chasquid/03-bad_message.msg":              {Got: "failed to read header: EOF", Why: "no message: the library gives an error, we find no signature"},
}

// corpusClass is a difference that many signatures have.
type corpusClass struct {
	conformance.Difference
	signatures int
}

// corpusDiffers are the reasons for which our result is another than the one
// that the corpus expects, and for how many signatures.
var corpusDiffers = map[policy.Reason]corpusClass{
	ReasonAlgorithmWeak: {conformance.Difference{Got: "invalid", Why: "the corpus is older than RFC 8301 3.1, which forbids rsa-sha1"}, 14},
	ReasonVersion:       {conformance.Difference{Got: "invalid", Why: "the signature is of a draft older than RFC 4871; v=1 is required since (RFC 6376 3.5)"}, 22},
}

// messageDiffers are the messages whose results are others as a whole, and why.
var messageDiffers = conformance.Differences{
	"chasquid/02-too_many_headers.msg": {Got: "pass pass pass pass pass pass pass", Why: "chasquid evaluates five signatures, we ten; RFC 6376 6.1 leaves the number to the verifier"},
}

// DomainKeys is historic (RFC 4870, obsoleted by RFC 4871), and a
// DomainKey-Signature no field of DKIM's (RFC 6376 3.5): messages that have
// nothing else are not evaluated.
const domainKeysMessages = 17

// dkimCase is one message of a corpus.
type dkimCase struct {
	name string
	raw  []byte
	dns  texts
	now  int64
	// want is what the corpus says: of each signature, or of one that decides.
	want  []string
	older bool // It has DomainKeys only.
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
	older, messages, libraries, classes := 0, 0, 0, map[policy.Reason]int{}
	count, differ := map[string]int{}, map[string]int{}
	for _, c := range cases {
		set, _, _ := strings.Cut(c.name, "/")
		count[set]++
		v := &Verifier{Resolver: c.dns, Now: at(c.now), Profile: RFC, Keys: NewKeyCache()}
		results := dkimOf(v, c.raw)
		var got []string
		for _, s := range results {
			got = append(got, word(s))
		}
		ours := strings.Join(got, " ")
		same := true
		switch {
		case c.older:
			if same = false; ours != "" {
				t.Errorf("%s: got %q, want no signature", c.name, ours)
			}
			older++
		case len(c.want) > 0 && len(c.want) <= len(results) && messageDiffers[c.name].Why == "":
			same = sameWords(t, c, results, classes)
		default:
			if same = messageDiffers.Compare(t, c.name, ours, strings.Join(c.want, " ")); !same {
				messages++
			}
		}
		if !same {
			differ[set]++
		}
		if !libraryDiffers.Compare(t, c.name, libraryWords(c), ours) {
			libraries++
		}
	}
	for reason, class := range corpusDiffers {
		if classes[reason] != class.signatures {
			t.Errorf("%d signatures differ, and %d are known to: %s", classes[reason], class.signatures, class.Why)
		}
	}
	if older != domainKeysMessages {
		t.Errorf("%d messages of DomainKeys", older)
	}
	messageDiffers.Missing(t, messages)
	libraryDiffers.Missing(t, libraries)
	conformance.Report(t, "dkim/chasquid", count["chasquid"], differ["chasquid"])
	conformance.Report(t, "dkim/dkimpy", count["dkimpy"], differ["dkimpy"])
	conformance.Report(t, "dkim/mail-dkim", count["mail-dkim"], differ["mail-dkim"])
	conformance.Report(t, "dkim/mailauth", count["mailauth"], differ["mailauth"])
	conformance.Report(t, "dkim/mimekit", count["mimekit"], differ["mimekit"])
	conformance.Report(t, "dkim/stalwart", count["stalwart"], differ["stalwart"])
}

// sameWords compares the results of a message one by one, and counts those that
// differ as their class does. The one word of a corpus for several signatures is
// that of any.
func sameWords(t *testing.T, c dkimCase, results []policy.DKIM, classes map[policy.Reason]int) bool {
	t.Helper()
	same := true
	if len(c.want) == 1 && slices.ContainsFunc(results, func(s policy.DKIM) bool { return word(s) == c.want[0] }) {
		return same
	}
	for i, s := range results[:len(c.want)] {
		if word(s) == c.want[i] {
			continue
		}
		same = false
		classes[s.Reason]++
		if class := corpusDiffers[s.Reason]; class.Got != word(s) {
			t.Errorf("%s: signature %d: got %s (%s), want %s: %s", c.name, i, s.Result, s.Problem, c.want[i], class.Why)
		}
	}
	return same
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
		older := strings.HasPrefix(c.Kind, "domainkeys")
		name, want := "mail-dkim/"+filepath.Base(c.File), []string{c.Expected}
		if name == "mail-dkim/multiple_2.txt" {
			want = []string{"invalid", "pass", "fail"} // So its note says.
		}
		cases = append(cases, dkimCase{name, crlf(read(t, dir, c.File)), dns, 1_700_000_000, want, older})
	}
	for _, c := range data.Strict {
		cases = append(cases, dkimCase{"mail-dkim/" + filepath.Base(c.File) + ", strict", crlf(read(t, dir, c.File)), dns, 1_700_000_000, []string{c.Expected}, false})
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
		cases = append(cases, dkimCase{"stalwart/" + filepath.Base(file), crlf([]byte(body)), dns, 1_667_843_664, []string{"pass"}, false})
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
			1_709_466_400, strings.Fields(c.want), false})
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
		cases = append(cases, dkimCase{name, crlf(read(t, dir, name)), dns, now, want, false})
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
		cases = append(cases, dkimCase{"dkimpy/" + file + ".txt", signed, dns, now, []string{"pass", want}, false})
	}
	return cases
}
