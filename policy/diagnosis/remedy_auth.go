package diagnosis

import (
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// authentication is the remedy where nothing passes, or nothing that counts
// for From: one remedy, as the same steps mend both.
func authentication(c *Case, _ policy.Finding) remedy {
	a := c.Evidence.Auth
	author := clip(a.DMARC.Domain)
	if author == "" {
		return remedy{where: "From", do: step("Write one From field with one address; then sign with DKIM for its domain, or permit the peer in SPF of the envelope's.")}
	}
	m := remedy{where: "the domain of From, " + author}
	m.signing(c, author)
	s := diagnoseSPF(c)
	switch {
	case passedOn(c):
		text := "SPF cannot make up for that, as the mail was passed on."
		if s.SPF.Result == policy.AuthPass && !s.Alignment.Aligned {
			text = "SPF cannot make up for that: it passes for " + s.SPF.Domain + ", as the mail was passed on."
		}
		m.do = append(m.do, step(text)...)
	case s.SPF.Result == policy.AuthPass && !s.Alignment.Aligned:
		m.do = append(m.do, movingEnvelope(c, author, s))
	case s.SPF.Result == policy.AuthPass:
	case !c.Evidence.Arrival.Peer.IsValid():
		m.do = append(m.do, step("Say which address delivers the mail: without it SPF passes for nobody.")...)
	default:
		m.do = append(m.do, mendSPF(c))
		// A name or an address that is yet to be told may well help it.
		if _, public := peerOf(c); public && !strangeHELO(c) && !s.Alignment.Aligned && s.SPF.Domain != "" {
			m.do = append(m.do, step("That alone does not help From: "+s.Alignment.Summary+".")...)
		}
	}
	m.do = append(m.do, step("If the mail is not one of "+author+"'s own, all this is as it should be, and there is nothing to mend.")...)
	return m
}

// signing adds the steps that lead to a signature of the author domain.
func (m *remedy) signing(c *Case, author string) {
	var other *policy.DKIM
	own := 0
	for i, s := range c.Evidence.Auth.DKIM {
		d := diagnoseDKIM(c.Evidence.Auth, s)
		switch {
		case d.Alignment.Aligned && s.Result != policy.AuthPass && own < maxMethods:
			own++
			mend := mendSignature(s)
			if brokenOnTheWay(c, s) {
				mend, m.where = intact(s.Change), forwarder(c)
			}
			mend.Do = "DKIM, selector " + clip(s.Selector) + " of " + clip(s.Domain) + ": " + mend.Do
			m.do = append(m.do, mend)
		case !d.Alignment.Aligned && s.Result == policy.AuthPass && other == nil:
			other = &c.Evidence.Auth.DKIM[i]
		}
	}
	switch {
	case own > 0:
	case passedOn(c):
		m.do = append(m.do, step("Sign with DKIM, d="+author+": only that survives being passed on.", newKey(author)...)...)
	case other != nil:
		m.do = append(m.do, step("Sign with d="+author+": the signature of "+clip(other.Domain)+" holds, and is "+align(c.Evidence.Auth, other.Domain, other.OrgDomain, c.Evidence.Auth.DMARC.StrictDKIM, "adkim").Summary+". A service that sends for you calls this custom or branded DKIM.", newKey(author)...)...)
	default:
		m.do = append(m.do, step("Sign with DKIM, d="+author+", with an RSA key of 2048 bits, and publish the key.", newKey(author)...)...)
	}
}

// keyRecord is a key's record, its key to be filled in.
const keyRecord = "v=DKIM1; k=rsa; p=<the public key in base64>"

// signing is the remedy for mail without a signature that counts.
func signing(c *Case, _ policy.Finding) remedy {
	author := clip(c.Evidence.Auth.DMARC.Domain)
	if author == "" {
		return remedy{}
	}
	m := remedy{where: "the domain of From, " + author}
	m.signing(c, author)
	return m
}

// newKey writes the record of a key to be made; nothing for a domain that is
// none.
func newKey(domain string) []string {
	if !isName(domain) {
		return nil
	}
	return []string{"<selector>._domainkey." + domain + ". TXT \"" + keyRecord + "\""}
}

// passedOn says whether somebody passed the mail on, so that the peer is none of
// the author's.
func passedOn(c *Case) bool {
	if c.Evidence.Arrival.Channel == policy.ChannelPOP {
		return true
	}
	switch c.Evidence.Access.Pattern {
	case policy.PatternAutoForward, policy.PatternMailingList, policy.PatternPOPFetch:
		return true
	}
	return false
}

// signatureSteps say what to do about a signature that does not count, by its
// reason (RFC 6376 6.1, RFC 8301).
var signatureSteps = map[policy.Reason]string{
	"signature-syntax":         "Mend the DKIM-Signature field: it does not keep to RFC 6376 3.5. Signers get this right, so look for what rewrites the field afterwards.",
	"signature-version":        "Write v=1 into the DKIM-Signature field.",
	"algorithm-unknown":        "Sign with a=rsa-sha256.",
	"algorithm-weak":           "Sign with a=rsa-sha256: rsa-sha1 counts nowhere (RFC 8301 3.1).",
	"canonicalization-unknown": "Sign with c=relaxed/relaxed.",
	"query-unknown":            "Leave q= away, or write q=dns/txt.",
	"too-many-signatures":      "Sign fewer times: only the first ten signatures are looked at.",
	"key-weak":                 "Rotate the selector: make an RSA key of 2048 bits, publish it under a new selector, sign with it, and take the old record away some days later.",
	"key-large":                "Rotate the selector to an RSA key of 2048 bits: this one is larger than verifiers take.",
	"from-unsigned":            "Put From into h=: a signature that leaves it out says nothing about the author (RFC 6376 5.4).",
	"auid-domain":              "Take i= away, or have it name the domain of d=, or one below if the key has no t=s.",
	"no-key":                   "Publish the public key of this selector, or sign with a selector that has one.",
	"key-several":              "Publish one key record at this name, and take the others away.",
	"key-syntax":               "Publish the key record anew: what is there cannot be read.",
	"key-revoked":              "Sign with another selector: the key of this one is revoked (p= is empty).",
	"key-unusable":             "Publish a key record whose k=, h= and s= permit this signature, or leave those tags away.",
	"dns":                      "Have the name servers of the domain answer: the key could not be looked up.",
	"expired":                  "Give signatures more time in x=, or leave it away; and see that the clocks are right and that mail does not wait in a queue for longer.",
	"body-length":              "Do not shorten the body after it is signed; and leave l= away.",
	"body-hash":                "Sign last: something changes the body after it is signed. Look for footers, disclaimers, scanners and re-encoding on the way out.",
	"signature":                "Sign last: something changes a signed field after it is signed, or the published key is not that of the signer. Compare the key in the record with the private key first.",
}

// mendSignature says what to do about a signature that does not count.
func mendSignature(s policy.DKIM) Step {
	m := Step{Do: signatureSteps[s.Reason]}
	if m.Do == "" {
		m.Do = "See to it that the signature verifies."
	}
	if s.Change == policy.ChangeFooter || s.Change == policy.ChangeSubject || s.Change == policy.ChangeReencoded {
		m.Do += " Here it is proven what was done: " + strings.TrimPrefix(changeTexts[s.Change], "proven: ") + "."
	}
	switch s.Reason {
	case "no-key":
		if s.Result == policy.AuthNeutral { // So Gmail calls a kind of key that it does not know.
			return Step{Do: "Add a signature with a=rsa-sha256 beside this one: Gmail does not evaluate Ed25519."}
		}
		m.Write = zoneText(keyName(s), keyRecord)
	case "key-syntax":
		m.Write = zoneText(keyName(s), keyRecord)
	case "key-weak", "key-large", "key-revoked":
		m.Write = newKey(s.Domain)
	}
	return m
}

// outage is the remedy where the DNS did not answer.
func outage(c *Case, _ policy.Finding) remedy {
	var list []string
	for _, q := range c.Questions {
		if failed(q) && len(list) < maxItems {
			list = append(list, clip(q.Name)+" "+q.Type)
		}
	}
	m := remedy{where: strings.Join(list, ", "), do: step("Have the name servers of these names answer; then the mail can come again.")}
	if m.where == "" {
		m.do = step("Have the name servers of the sender's domains answer; then the mail can come again.")
	}
	return m
}
