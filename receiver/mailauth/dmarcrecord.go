package mailauth

import (
	"net/url"
	"strconv"
	"strings"
)

// maxDMARCRecord bounds a DMARC record in octets.
const maxDMARCRecord = 8192

// dmarcRecord is a DMARC policy record (RFC 9989 4.7, RFC 7489 6.3).
type dmarcRecord struct {
	text string
	// p is none, quarantine or reject; none too if usable is only by rua=.
	p, sp, np  string // sp and np are empty if absent.
	usable     bool   // It asks for processing (RFC 9989 4.10.1).
	invalid    bool   // What it asks for cannot be read: p is none instead.
	psd        string // "y", "n" or "u".
	testing    bool   // t=y
	strictDKIM bool
	strictSPF  bool
	rua, fo    string // As written; empty if absent.
	percent    string // pct=, by RFC 7489 alone; empty if absent or invalid.
	problem    string // The first thing that is wrong with it.
}

// parseDMARC reads a record. ok is false if it is none: v= must be DMARC1 and
// come first. What is wrong elsewhere in it counts as not said, as RFC 9989 4.8
// has it; of a tag that stands twice, nothing counts.
//
// By RFC 9989 pct, rf, ri and unknown tags are ignored (A.6, 4.7). By RFC 7489
// np, psd and t are the unknown ones, and p= is valid in the second place alone
// (6.3).
func parseDMARC(text string, standard Standard) (r dmarcRecord, ok bool) {
	r = dmarcRecord{text: text, psd: "u"}
	if len(text) > maxDMARCRecord {
		return r, false
	}
	version, rest, _ := strings.Cut(text, ";")
	if name, value, _ := strings.Cut(version, "="); !strings.EqualFold(strings.Trim(name, fws), "v") || strings.Trim(value, fws) != "DMARC1" {
		return r, false
	}
	tags := r.tags(rest)
	request := func(name string) (value string, valid bool) {
		value, ok := tags.get(name)
		if value = strings.ToLower(value); !ok {
			return "", true
		}
		return value, value == "none" || value == "quarantine" || value == "reject"
	}
	p, okP := request("p")
	sp, okSP := request("sp")
	np, okNP := request("np")
	problem := "p= is missing, or p=, sp= or np= is invalid"
	if standard == RFC7489 {
		np, okNP = "", true
		problem = "p= is missing, or p= or sp= is invalid"
		if okP && p != "" && !isSecond(rest, "p") {
			okP, problem = false, "p= does not follow v="
		}
	}
	rua, _ := tags.get("rua")
	r.rua = rua
	r.fo, _ = tags.get("fo")
	switch {
	case okP && okSP && okNP && p != "":
		r.p, r.sp, r.np, r.usable = p, sp, np, true
	case hasReportURI(rua):
		r.p, r.usable, r.invalid = "none", true, true
		r.note(problem + ": treated as p=none")
	default:
		r.p, r.invalid = "none", true
		r.note(problem + ", and there is no rua=: no policy")
	}
	r.strictDKIM = r.choice(tags, "adkim", "r", "s") == "s"
	r.strictSPF = r.choice(tags, "aspf", "r", "s") == "s"
	if standard == RFC7489 {
		r.percent = r.readPercent(tags)
		return r, true
	}
	r.testing = r.choice(tags, "t", "n", "y") == "y"
	r.psd = r.choice(tags, "psd", "u", "y", "n")
	return r, true
}

// isSecond reports whether a tag is the first of those after v=.
func isSecond(rest, name string) bool {
	first, _, _ := strings.Cut(rest, ";")
	got, _, _ := strings.Cut(first, "=")
	return strings.EqualFold(strings.Trim(got, fws), name)
}

// readPercent reads pct= (RFC 7489 6.3).
func (r *dmarcRecord) readPercent(tags tagList) string {
	value, ok := tags.get("pct")
	if !ok {
		return ""
	}
	if n, err := strconv.Atoi(value); err != nil || !isDigits(value) || n > 100 {
		r.note("pct= is invalid")
		return ""
	}
	return value
}

func (r *dmarcRecord) note(problem string) {
	if r.problem == "" {
		r.problem = problem
	}
}

// tags reads the tags after v=, without those that are no tag or stand twice.
func (r *dmarcRecord) tags(s string) tagList {
	var list tagList
	seen := map[string]int{}
	for part := range strings.SplitSeq(s, ";") {
		t, err := parseTag(part, 0, len(part))
		switch {
		case err != nil:
			r.note(err.Error())
			continue
		case t.name == "":
			continue
		case len(list) == maxTags:
			r.note("too many tags")
			return list
		}
		t.name = strings.ToLower(t.name)
		if seen[t.name]++; seen[t.name] == 2 {
			r.note("tag " + t.name + "= stands twice")
		}
		list = append(list, t)
	}
	once := list[:0]
	for _, t := range list {
		if seen[t.name] == 1 {
			once = append(once, t)
		} else if t.name == "p" || t.name == "sp" || t.name == "np" {
			// A policy that is there and cannot be read is not one that is absent.
			t.value = ""
			once = append(once, t)
		}
	}
	return once
}

// choice returns the value of a tag with a default and other values.
func (r *dmarcRecord) choice(tags tagList, name, normal string, others ...string) string {
	value, ok := tags.get(name)
	value = strings.ToLower(value)
	for _, o := range others {
		if value == o {
			return value
		}
	}
	if ok && value != normal {
		r.note(name + "= is invalid")
	}
	return normal
}

// hasReportURI reports whether rua= has a URI that is syntactically valid. Its
// obsolete size limit, "!10m", is cut off.
func hasReportURI(rua string) bool {
	for uri := range strings.SplitSeq(rua, ",") {
		uri, _, _ = strings.Cut(strings.Trim(uri, fws), "!")
		if u, err := url.Parse(uri); err == nil && u.Scheme != "" && (u.Opaque != "" || u.Host != "") {
			return true
		}
	}
	return false
}

// policyFor returns the policy for a domain and the tag that it comes from: p=
// for the record's own, sp= or, if it does not exist, np= for one below it (RFC
// 9989 4.10.1). t=y lowers it one step (4.7). The tag is empty where the record
// is only treated as asking for none.
func (r dmarcRecord) policyFor(own, exists bool) (policy, tag string) {
	policy, tag = r.p, "p"
	switch {
	case r.invalid:
		tag = ""
	case own:
	case !exists && r.np != "":
		policy, tag = r.np, "np"
	case r.sp != "":
		policy, tag = r.sp, "sp"
	}
	switch {
	case !r.testing:
		return policy, tag
	case policy == "reject":
		return "quarantine", tag
	}
	return "none", tag
}
