//go:build peers

package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// disagreement is a method of which Rspamd says something else than we do.
type disagreement struct{ mail, method, ours, theirs string }

// nothing is an opinion that is not there: Rspamd has none of a signature that it
// does not look at.
const nothing = "nothing"

// Why Rspamd says something else of several mails.
const (
	lenientSPF  = "a syntax error anywhere in a record is permerror (RFC 7208 4.6); Rspamd passes over a term that it cannot read"
	keyTags     = "the key is not for such signatures (RFC 6376 3.6.1); Rspamd judges no tag of a key but p= and a known k="
	oneAuthor   = "RFC 9989 5.3.1; Rspamd leaves DMARC out unless there is one author in one field"
	followsDKIM = "follows from the signature"
	older       = " by RFC 9989, and Rspamd 3.4 is older"
)

// disagreements are all that there are, with their reasons.
var disagreements = map[disagreement]string{
	{"spf unknown mechanism", "spf", "permerror", "fail"}:                  lenientSPF,
	{"spf unknown mechanism behind the match", "spf", "permerror", "pass"}: lenientSPF,
	{"spf no address", "spf", "permerror", "pass"}:                         lenientSPF,
	{"spf ipv4 for ip4", "spf", "permerror", "pass"}:                       "there is no mechanism ipv4 (RFC 7208 5); Rspamd takes it for ip4",
	{"spf two records", "spf", "permerror", "pass"}:                        "more than one record is permerror (RFC 7208 4.5); Rspamd takes one of them",
	{"spf include of nothing", "spf", "permerror", "fail"}:                 "permerror by RFC 7208 5.2; Rspamd passes over it",
	{"spf loop", "spf", "permerror", "fail"}:                               "it ends at the limit of look-ups, in permerror (RFC 7208 4.6.4); Rspamd leaves the loop",
	{"spf void look-ups", "spf", "permerror", "pass"}:                      "more than two of them are permerror (RFC 7208 4.6.4); Rspamd does not count them",

	{"dkim 512 bits", "dkim/weak", "policy", "pass"}:                             "no key under 1024 bits counts (RFC 8301 3.2); for Rspamd it does",
	{"dkim 512 bits", "dmarc", "fail/reject", "pass"}:                            followsDKIM,
	{"dkim expired", "dkim/s1", "fail", nothing}:                                 "Rspamd treats an expired signature as none",
	{"dkim of tomorrow", "dkim/s1", "pass", nothing}:                             "RFC 6376 3.5 leaves it open; Rspamd treats the signature as none",
	{"dkim of tomorrow", "dmarc", "pass", "fail/reject"}:                         followsDKIM,
	{"dkim of a subdomain's user, forbidden", "dkim/exact", "permerror", "pass"}: keyTags,
	{"dkim of a subdomain's user, forbidden", "dmarc", "fail/reject", "pass"}:    followsDKIM,
	{"dkim key for sha1", "dkim/sha1", "permerror", "pass"}:                      keyTags,
	{"dkim key for sha1", "dmarc", "fail/reject", "pass"}:                        followsDKIM,
	{"dkim key for reports", "dkim/tlsrpt", "permerror", "pass"}:                 keyTags,
	{"dkim key for reports", "dmarc", "fail/reject", "pass"}:                     followsDKIM,
	{"dkim key of unknown kind", "dkim/odd", "permerror", "pass"}:                keyTags,
	{"dkim key of unknown kind", "dmarc", "fail/reject", "pass"}:                 followsDKIM,
	{"dkim added From", "dmarc", "permerror", "none"}:                            oneAuthor,

	{"dmarc two authors", "dmarc", "permerror", "none"}:                                   oneAuthor,
	{"dmarc two authors of one domain", "dmarc", "pass", "none"}:                          oneAuthor,
	{"dmarc two From fields", "dmarc", "permerror", "none"}:                               oneAuthor,
	{"dmarc no author", "dmarc", "permerror", "none"}:                                     oneAuthor,
	{"dmarc unknown policy", "dmarc", "none", "permerror"}:                                "a record without a policy is none unless it asks for reports (RFC 9989 4.7); Rspamd has a word for it",
	{"dmarc two records", "dmarc", "none", "permerror"}:                                   "several records are none (RFC 9989 4.10); Rspamd has a word for it",
	{"dmarc policy of nonexistent subdomains", "dmarc", "fail/reject", "fail/quarantine"}: "np= counts" + older,
	{"dmarc testing", "dmarc", "fail/quarantine", "fail/reject"}:                          "t=y lowers the policy" + older,
	{"dmarc for no percent", "dmarc", "fail/reject", "fail/quarantine"}:                   "pct= does not count" + older,
	{"dmarc unit that stands for itself", "dmarc", "fail/reject", "pass"}:                 "psd=n makes an organisational domain of it" + older,
}

// TestPeersVerdicts sets our opinion of mails beside Rspamd's.
func TestPeersVerdicts(t *testing.T) {
	t.Parallel()
	needRspamd(t)
	a := newAuthor(t)
	zone := a.zone(t)
	file := filepath.Join(t.TempDir(), "zone")
	writeFile(t, file, zone, 0o600)
	r := startRspamd(t, startDNS(t, zone).addr, "example", "test")
	open := maps.Clone(disagreements)
	for _, m := range slices.Concat(spfMails(a), dkimMails(t, a), dmarcMails(t, a), arcMails(t, a)) {
		ours, theirs := judge(t, file, m.delivered), r.judge(t, m.delivered)
		if ours.String() != m.ours {
			t.Errorf("%s: our opinion is %s, want %s", m.name, ours, m.ours)
		}
		for _, d := range compare(m.name, ours, theirs) {
			if _, ok := open[d]; !ok {
				t.Errorf("of %q, Rspamd says %s=%s, and we say %s; nothing explains that", d.mail, d.method, d.theirs, d.ours)
			}
			delete(open, d)
		}
	}
	for d, why := range open {
		t.Errorf("Rspamd and we do not disagree as in %+v, which was explained: %s", d, why)
	}
}

// compare lists the methods of which two have different opinions.
func compare(mail string, ours, theirs opinion) (list []disagreement) {
	word := func(o opinion, method string) string {
		if word, ok := o[method]; ok {
			return word
		}
		return nothing
	}
	methods := maps.Clone(ours)
	maps.Copy(methods, theirs)
	for method := range methods {
		if d := (disagreement{mail, method, word(ours, method), word(theirs, method)}); d.ours != d.theirs {
			list = append(list, d)
		}
	}
	return list
}

// needRspamd returns the path of an Rspamd whose opinions are known.
func needRspamd(t *testing.T) string {
	t.Helper()
	program := needDebian(t, "rspamd", "rspamd")
	if version := output(t, 0, exec.CommandContext(peerContext(t), program, "--version")); !strings.HasSuffix(strings.TrimSpace(version), " 3.4") {
		giveUp := t.Skipf
		if os.Getenv("CI") == "true" {
			giveUp = t.Fatalf
		}
		giveUp("the table of disagreements is for Rspamd 3.4, and this is %s", version)
	}
	return program
}
