package mailauth

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// spfDiffers are the tests of the SPF suites whose result is another here, and
// why. In the suite of RFC 7208 there is none.
var spfDiffers = conformance.Differences{
	"default-modifier":           {Got: "neutral", Why: unknownModifier},
	"default-modifier-harsh":     {Got: "neutral", Why: unknownModifier},
	"resolution-with-10-lookups": {Got: "permerror", Why: "its include:d11 is no domain-spec by RFC 7208 7.1: a single label"},
	"mx-resolution-10-terms":     singleLabel,
	"mx-resolution-11-terms":     singleLabel,
	"one-mx-not-found":           singleLabel,
	"all-mx-not-found":           singleLabel,
	"include-not-found":          singleLabel,
	"redirect-not-found":         singleLabel,
}

const unknownModifier = "default= is for pyspf alone; an unknown modifier is ignored, by RFC 7208 6"

var singleLabel = conformance.Difference{Got: "none", Why: "the sender's domain has one label: none, by RFC 7208 4.3"}

func TestSPFConformance(t *testing.T) {
	t.Parallel()
	dir := conformance.Path(t, "spf")
	const blitiri, rfc7208, others = "blitiri/blitirispf-tests.yml", "openspf/rfc7208-tests.yml", "openspf/test.yml"
	count, differ, explained := map[string]int{}, map[string]int{}, map[string]int{}
	for _, file := range []string{rfc7208, others, blitiri} {
		scenarios := readSuite(string(read(t, dir, file)))
		for _, s := range scenarios {
			z := s.build(t)
			for _, c := range s.cases {
				count[file]++
				r := dnszone.NewResolver(z, dnszone.Options{})
				a := policy.Arrival{HELO: c["helo"], MailFrom: c["mailfrom"]}
				a.Peer, _ = netip.ParseAddr(c["host"])
				got := spfOf(r, a)
				// Of several results that are right, ours is the one.
				list := flow(c["result"])
				result, want := string(got.Result), strings.Join(list, " or ")
				if slices.Contains(list, result) {
					want = result
				}
				if text, ok := c["explanation"]; ok && result == want {
					explained[file]++
					// The suite's word for none. RFC 7208 7.4 writes the digits of
					// an IPv6 address in lower case, the suite in upper.
					text = strings.TrimSuffix(scalar(text), "DEFAULT")
					result, want = result+" "+strings.ToLower(got.Explanation), want+" "+strings.ToLower(text)
				}
				if !spfDiffers.Compare(t, c["name"], result, want) {
					differ[file]++
				}
			}
		}
	}
	if explained[rfc7208] != 22 {
		t.Errorf("%d cases have an explanation", explained[rfc7208])
	}
	spfDiffers.Missing(t, differ[rfc7208]+differ[others]+differ[blitiri])
	conformance.Report(t, "spf/blitiri/blitirispf-tests", count[blitiri], differ[blitiri])
	conformance.Report(t, "spf/openspf/rfc7208-tests", count[rfc7208], differ[rfc7208])
	conformance.Report(t, "spf/openspf/test", count[others], differ[others])
}

// suite is one document of an OpenSPF test file.
type suite struct {
	cases []map[string]string
	zone  []zoneLine
}

type zoneLine struct{ name, typ, value string }

// readSuite reads the one shape of YAML that the OpenSPF files have.
func readSuite(text string) []suite {
	var suites []suite
	for doc := range strings.SplitSeq(text, "\n---\n") {
		var s suite
		section, name := "", ""
		for line := range strings.SplitSeq(doc, "\n") {
			body := strings.TrimLeft(line, " ")
			indent := len(line) - len(body)
			key, value, _ := cutKey(body)
			switch {
			case body == "" || body[0] == '#':
			case indent == 0:
				section = key
			case indent == 2 && section == "tests":
				s.cases = append(s.cases, map[string]string{"name": key})
			case indent == 4 && section == "tests" && len(s.cases) > 0 && value != "":
				s.cases[len(s.cases)-1][key] = value
			case indent == 2 && section == "zonedata" && body[0] != '-':
				name = scalar(key)
			case section == "zonedata" && body[0] != '-' && len(s.zone) > 0:
				s.zone[len(s.zone)-1].value += " " + body // A scalar of several lines.
			case section == "zonedata":
				typ, value, _ := cutKey(strings.TrimPrefix(body, "- "))
				s.zone = append(s.zone, zoneLine{name, typ, value})
			}
		}
		for _, c := range s.cases {
			for _, key := range []string{"helo", "host", "mailfrom"} {
				c[key] = scalar(c[key])
			}
		}
		suites = append(suites, s)
	}
	return suites
}

// cutKey cuts "key: value", where the key may be quoted.
func cutKey(s string) (key, value string, ok bool) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		if i := strings.IndexByte(s[1:], s[0]); i >= 0 {
			return s[:i+2], strings.TrimSpace(strings.TrimPrefix(s[i+2:], ":")), true
		}
	}
	if key, ok := strings.CutSuffix(s, ":"); ok {
		return key, "", true
	}
	key, value, ok = strings.Cut(s, ": ")
	return key, strings.TrimSpace(value), ok
}

// scalar decodes a scalar; \x in one is an octet.
func scalar(s string) string {
	switch {
	case strings.HasPrefix(s, `"`):
		if text, err := strconv.Unquote(strings.ReplaceAll(s, `\0`, `\x00`)); err == nil {
			return text
		}
	case strings.HasPrefix(s, "'"):
		return strings.ReplaceAll(strings.Trim(s, "'"), "''", "'")
	}
	return s
}

// flow decodes a flow sequence, or a scalar as a sequence of one.
func flow(s string) []string {
	inner, ok := strings.CutPrefix(s, "[")
	if !ok {
		return []string{scalar(s)}
	}
	var list []string
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(inner), "]"), ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, scalar(part))
		}
	}
	return list
}

// build makes the zone. TIMEOUT is for the types that the name has no record
// of; SPF records are TXT records where the name lists none.
func (s suite) build(t *testing.T) *dnszone.Zone {
	z := dnszone.New()
	has := map[string]bool{}
	for _, l := range s.zone {
		has[l.name+" "+l.typ] = true
	}
	fail := func(l zoneLine, err error) {
		if err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
	load := func(l zoneLine, format string, args ...any) {
		for _, err := range z.Load(l.name, fmt.Sprintf(format, args...)) {
			fail(l, err)
		}
	}
	for _, l := range s.zone {
		v := flow(l.value)
		switch l.typ {
		case "TIMEOUT":
			for _, typ := range []string{"A", "AAAA", "TXT", "MX", "PTR"} {
				if !has[l.name+" "+typ] || typ == "TXT" && has[l.name+" SPF"] {
					load(l, "%s FAULT servfail %s", l.name, typ)
				}
			}
		case "SERVFAIL":
			load(l, "%s FAULT servfail", l.name)
		case "A", "AAAA":
			fail(l, z.AddA(l.name, netip.MustParseAddr(v[0])))
		case "MX":
			if v[1] == "" {
				v[1] = "."
			}
			n, _ := strconv.Atoi(v[0])
			fail(l, z.AddMX(l.name, uint16(n), v[1]))
		case "PTR", "CNAME":
			load(l, "%s %s %s.", l.name, l.typ, strings.TrimSuffix(v[0], "."))
		case "TXT":
			if v[0] != "NONE" {
				fail(l, z.AddTXT(l.name, strings.Join(v, "")))
			}
		case "SPF":
			if !has[l.name+" TXT"] {
				fail(l, z.AddTXT(l.name, strings.Join(v, "")))
			}
		default:
			t.Errorf("unknown type: %+v", l)
		}
	}
	return z
}
