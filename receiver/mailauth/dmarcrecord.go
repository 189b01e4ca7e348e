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
	badTag     string // The tag that problem is about; empty if it is about none.
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
	badTag, problem := requestProblem(tags, rest, standard)
	rua, _ := tags.get("rua")
	r.rua = rua
	r.fo, _ = tags.get("fo")
	switch {
	case problem == "":
		r.p, r.sp, r.usable = request(tags, "p"), request(tags, "sp"), true
		if standard != RFC7489 {
			r.np = request(tags, "np")
		}
	case hasReportURI(rua, standard):
		r.p, r.usable, r.invalid = "none", true, true
		r.note(badTag, problem+": treated as p=none")
	default:
		r.p, r.invalid = "none", true
		r.note(badTag, problem+", and there is no rua=: no policy")
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

// request is what a record asks for by a tag; empty if the tag is absent.
func request(tags tagList, name string) string {
	value, _ := tags.get(name)
	return strings.ToLower(value)
}

// requestProblem says what is wrong with p=, sp= or np=, and which it is; both
// are empty if they can be read.
func requestProblem(tags tagList, rest string, standard Standard) (tag, problem string) {
	if _, ok := tags.get("p"); !ok {
		return "p", "p= is missing"
	}
	names := []string{"p", "sp", "np"}
	if standard == RFC7489 {
		names = names[:2]
	}
	for _, name := range names {
		_, ok := tags.get(name)
		switch value := request(tags, name); {
		case ok && value != "none" && value != "quarantine" && value != "reject":
			return name, name + "= is invalid"
		case name == "p" && standard == RFC7489 && !isSecond(rest, "p"):
			return name, "p= does not follow v="
		}
	}
	return "", ""
}

// isMeantAsDMARC reports whether a text that is no record was to be one.
func isMeantAsDMARC(text string) bool {
	name, value, _ := strings.Cut(text, "=")
	value = strings.TrimLeft(value, fws)
	return strings.EqualFold(strings.Trim(name, fws), "v") && strings.EqualFold(value[:min(len(value), len("DMARC"))], "DMARC")
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
		r.note("pct", "pct= is invalid")
		return ""
	}
	return value
}

func (r *dmarcRecord) note(tag, problem string) {
	if r.problem == "" {
		r.badTag, r.problem = tag, problem
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
			r.note("", err.Error())
			continue
		case t.name == "":
			continue
		case len(list) == maxTags:
			r.note("", "too many tags")
			return list
		}
		t.name = strings.ToLower(t.name)
		if seen[t.name]++; seen[t.name] == 2 {
			r.note(t.name, "tag "+t.name+"= stands twice")
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
		r.note(name, name+"= is invalid")
	}
	return normal
}

// hasReportURI reports whether rua= has a URI that is syntactically valid.
func hasReportURI(rua string, standard Standard) bool {
	for uri := range strings.SplitSeq(rua, ",") {
		uri, ok := cutReportSize(strings.Trim(uri, fws), standard)
		if u, err := url.Parse(uri); ok && err == nil && u.Scheme != "" && (u.Opaque != "" || u.Host != "") {
			return true
		}
	}
	return false
}

// cutReportSize cuts off the limit on a report's size, such as "!10m". By RFC 9989
// 4.8 it is obsolete and ignored, but must be one; by RFC 7489 6.4 its number has
// 64 bits at most. Any other "!" in a URI must be percent-encoded: ok is false if
// one is not, and then nothing is cut off.
func cutReportSize(uri string, standard Standard) (cut string, ok bool) {
	cut, size, has := strings.Cut(uri, "!")
	if !has {
		return uri, true
	}
	if i := len(size) - 1; i > 0 && strings.IndexByte("kmgtKMGT", size[i]) >= 0 {
		size = size[:i]
	}
	_, err := strconv.ParseUint(size, 10, 64)
	if !isDigits(size) || standard == RFC7489 && err != nil {
		return uri, false
	}
	return cut, true
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
