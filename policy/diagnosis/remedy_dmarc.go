package diagnosis

import (
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// publishing is the remedy for a domain without a DMARC policy. Only where there
// is no record at all it is to publish one: what somebody has published says
// more than a record of ours, and is to be mended.
func publishing(c *Case, _ policy.Finding) remedy {
	d := c.Evidence.Auth.DMARC
	if d.Problem != "" && d.ProblemDomain != "" {
		return mendingRecord(d)
	}
	domain := d.OrgDomain
	if domain == "" {
		domain = d.Domain
	}
	return remedy{where: "_dmarc." + clip(domain), do: step(
		"Publish one record in the form of RFC 9989 4.7, such as this one, with your own policy and address for reports; p=none is enough for a start.", dmarcRecord(domain)...,
	)}
}

// tagValues are what a tag can be whose value was wrong (RFC 9989 4.7, RFC 7489
// 6.3).
var tagValues = map[string]string{
	"p": "none, quarantine or reject", "sp": "none, quarantine or reject", "np": "none, quarantine or reject",
	"adkim": "r or s", "aspf": "r or s", "t": "y or n", "psd": "y, n or u", "pct": "a number from 0 to 100",
}

// mendingRecord is the remedy for a record that does not say what it should.
func mendingRecord(d policy.DMARC) remedy {
	m := remedy{wrong: "the DMARC record does not say what it should: " + clip(d.Problem), where: "_dmarc." + clip(d.ProblemDomain)}
	values, known := tagValues[d.BadTag]
	switch {
	case d.ProblemDomain != d.PolicyDomain:
		m.wrong = "a DMARC record does not count: " + clip(d.Problem)
		m.do = step("Have one text at this name begin with v=DMARC1 and a semicolon, and no other; leave the rest of it as it is.")
		if d.PolicyDomain != "" {
			m.do[0].Do += " Until then the record of " + clip(d.PolicyDomain) + " holds in its place."
		}
	case d.BadTag == "" || !known:
		m.do = step("Mend this in the record, and leave the rest of it as it is: " + clip(d.Problem) + ".")
	default:
		m.do = step("Mend the tag " + d.BadTag + "= of the record (" + values + "), and leave the rest as it is.")
		if text := withoutTag(d.Record, d.BadTag); d.BadTag != "p" && text != "" {
			m.do = append(m.do, step("Or take the tag away, so that its default holds.", zoneText(m.where, text)...)...)
		}
	}
	return m
}

// withoutTag writes a record without one of its tags; nothing if the tag stands
// more than once, as nobody knows which one is meant.
func withoutTag(record, tag string) string {
	if len(record) > maxValue {
		return ""
	}
	var kept []string
	n := 0
	for part := range strings.SplitSeq(record, ";") {
		if name, _, _ := strings.Cut(part, "="); strings.EqualFold(strings.TrimSpace(name), tag) {
			n++
			continue
		}
		kept = append(kept, part)
	}
	if n != 1 {
		return ""
	}
	return strings.TrimSpace(strings.Join(kept, ";"))
}

// dmarcRecord writes a record that asks for nothing but reports.
func dmarcRecord(domain string) []string {
	return zoneText("_dmarc."+domain, "v=DMARC1; p=none; rua=mailto:postmaster@"+domain)
}

// countsAsDMARC says whether the texts at a name hold exactly one DMARC record,
// and whether they look as if they were to hold one.
func countsAsDMARC(answer string) (counts, meant bool) {
	n := 0
	for _, text := range texts(answer) {
		version, _, _ := strings.Cut(text, ";")
		name, value, _ := strings.Cut(version, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !strings.EqualFold(name, "v") || len(value) < 5 || !strings.EqualFold(value[:5], "DMARC") {
			continue
		}
		if meant = true; value == "DMARC1" {
			n++
		}
	}
	return n == 1, meant
}
