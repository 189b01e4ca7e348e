package pattern

import (
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/message"
)

// rewritten is an envelope sender that a forwarder has rewritten.
type rewritten struct {
	style policy.ForwardStyle
	// original is, for caf, the address whose mail is forwarded; for SRS, the
	// envelope sender as it was before, without its local part where a second
	// forwarder has hidden that.
	original string
	target   string // For caf: where the mail is forwarded to.
}

// decodeEnvelope tells a rewritten envelope sender (gmail-inbound.md 4.a). That
// it has the form is a claim; an SPF pass of its domain makes it a proof.
func decodeEnvelope(mailFrom string) (rewritten, bool) {
	i := strings.LastIndexByte(mailFrom, '@')
	if i < 0 {
		return rewritten{}, false
	}
	local, domain := strings.Trim(mailFrom[:i], `"`), mailFrom[i+1:]
	if user, rest, ok := cutFold(local, "+caf_="); ok {
		if at := strings.LastIndexByte(rest, '='); user != "" && at > 0 && at < len(rest)-1 {
			return rewritten{style: policy.ForwardCAF, original: user + "@" + domain, target: rest[:at] + "@" + rest[at+1:]}, true
		}
		return rewritten{}, false
	}
	// Microsoft's form hangs the code on the forwarding user's name.
	if _, rest, ok := cutFold(local, "+srs="); ok {
		return decodeSRS0(rest)
	}
	if len(local) < 5 || !strings.ContainsRune("=+-", rune(local[4])) {
		return rewritten{}, false
	}
	switch strings.ToUpper(local[:4]) {
	case "SRS0":
		return decodeSRS0(local[5:])
	case "SRS1":
		return decodeSRS1(local[5:])
	}
	return rewritten{}, false
}

// decodeSRS0 reads hash=time=domain=local.
func decodeSRS0(code string) (rewritten, bool) {
	words := strings.SplitN(code, "=", 4)
	if len(words) < 4 || words[0] == "" || words[1] == "" || !isName(words[2]) || words[3] == "" {
		return rewritten{}, false
	}
	return rewritten{style: policy.ForwardSRS, original: words[3] + "@" + words[2]}, true
}

// decodeSRS1 reads hash=forwarder==hash=time=domain=local; what follows the
// first forwarder may have any separator.
func decodeSRS1(code string) (rewritten, bool) {
	words := strings.SplitN(code, "=", 3)
	if len(words) < 3 || words[0] == "" || !isName(words[1]) || len(words[2]) < 2 || !strings.ContainsRune("=+-", rune(words[2][0])) {
		return rewritten{}, false
	}
	r, ok := decodeSRS0(words[2][1:])
	if !ok {
		return rewritten{}, false
	}
	return r, true
}

// cutFold is strings.Cut without regard to case; sep is in lower case.
func cutFold(s, sep string) (before, after string, ok bool) {
	i := strings.Index(strings.ToLower(s), sep)
	// Lower case may have another length outside of ASCII; such an address has
	// none of these forms.
	if i < 0 || i+len(sep) > len(s) || !strings.EqualFold(s[i:i+len(sep)], sep) {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// isName says whether a word can be a domain of two labels or more.
func isName(s string) bool {
	return strings.Contains(s, ".") && message.DomainOf("x@"+s) != ""
}

// readEnvelope reads the envelope sender: proof of an automatic forward if SPF
// passes for it, and a mark otherwise.
func (e *evidence) readEnvelope() {
	e.forward.Style = policy.ForwardPlain
	spf := e.Auth.SPF
	passes := spf.Result == policy.AuthPass && spf.Identity != "helo"
	if passes && !has(e.proofs, "spf-aligned") {
		e.forward.Style = policy.ForwardOther
	}
	r, ok := decodeEnvelope(e.Arrival.MailFrom)
	if !ok {
		return
	}
	e.forward.Style = r.style
	s := policy.Signal{Name: "envelope-" + string(r.style), Rank: rankStructure, Value: e.Arrival.MailFrom, For: policy.PatternAutoForward}
	if r.style == policy.ForwardCAF && !policy.SameMailbox(r.target, e.Account.Address) {
		// It names another target: it was not made for this account.
		s.Name = "envelope-caf-other-target"
		e.marks = append(e.marks, s)
		return
	}
	if !passes {
		s.Name += "-unproven"
		e.marks = append(e.marks, s)
		return
	}
	s.Rank, e.forward.By = rankProven, spf.Domain
	e.forwarder = append(e.forwarder, s)
	if r.style == policy.ForwardCAF {
		e.forward.Original = strings.ToLower(r.original)
	}
}
