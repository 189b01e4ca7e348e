package forwarding

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

// AutoOptions say how a mail is passed on by a rule. All but ID, Secret and
// Break are needed.
type AutoOptions struct {
	// Style is what happens to the envelope and the header:
	//   - plain: the envelope stays, and X-Original-To and Delivered-To are left
	//     in, as a .forward file of Postfix does;
	//   - srs: the envelope is rewritten to Original's domain;
	//   - caf: as Gmail passes on, without the fields that need Google's keys
	//     or say what authentication found;
	//   - resent: as a client's redirect; the envelope is Original's.
	Style    policy.ForwardStyle
	Original string     // The address that the mail was first sent to.
	To       string     // Where it is passed on to.
	MailFrom string     // The envelope it came with; "" or "<>" is the null reverse-path, which stays null.
	Host     string     // The forwarder's host name.
	Peer     netip.Addr // Where it came from.
	Time     time.Time  // When it was passed on; written in UTC.
	ID       string     // The forwarder's id of the mail; empty makes one.
	Secret   string     // Key of SRS; needed for that style.
	Break    Break      // What else is changed; empty is nothing.
}

// Forwarded is a mail as a forwarder sends it.
type Forwarded struct {
	MailFrom string // Reverse-path of the new envelope, without brackets; empty is null.
	Raw      []byte
}

// Auto returns what an automatic forwarder makes of a mail (gmail-inbound.md
// 4.a). The new fields stand before the original, in its own line ends; below
// them every octet is the original's, unless Break says otherwise. Errors are
// [ErrTooLarge], [ErrNoHeader], [ErrOption], [ErrUnbroken], or say which part
// cannot be decoded.
func Auto(original []byte, o AutoOptions) (Forwarded, error) {
	m, err := read(original)
	if err != nil {
		return Forwarded{}, fmt.Errorf("passing on: %w", err)
	}
	if err := o.check(); err != nil {
		return Forwarded{}, fmt.Errorf("passing on: %w", err)
	}
	f := Forwarded{}
	if f.MailFrom, err = o.envelope(); err != nil {
		return Forwarded{}, fmt.Errorf("passing on: %w", err)
	}
	below, err := breakMessage(m, o)
	if err != nil {
		return Forwarded{}, fmt.Errorf("passing on with break %q: %w", o.Break, err)
	}
	end := lineEndOf(original)
	top := strings.Join(o.fields(newSeed(string(original), fmt.Sprintf("%+v", o))), end) + end
	top = strings.ReplaceAll(top, fold, end+"\t")
	f.Raw = append([]byte(top), below...)
	return f, nil
}

// check reads the options and brings them into one form.
func (o *AutoOptions) check() error {
	for _, a := range []struct {
		name string
		text *string
	}{{"the original address", &o.Original}, {"the new address", &o.To}, {"the envelope", &o.MailFrom}} {
		if a.text == &o.MailFrom && (o.MailFrom == "" || o.MailFrom == "<>") {
			o.MailFrom = ""
			continue
		}
		addr, err := oneAddress(a.name, *a.text)
		if err != nil {
			return err
		}
		*a.text = addr.Addr
	}
	o.Time = o.Time.Round(0).UTC() // Without what a monotonic clock says: the time is part of what ids are made of.
	switch {
	case !isWord(o.Host):
		return fmt.Errorf("%w: host %q", ErrOption, o.Host)
	case o.ID != "" && !isWord(o.ID):
		return fmt.Errorf("%w: id %q", ErrOption, o.ID)
	case !o.Peer.IsValid() || o.Peer.Zone() != "":
		return fmt.Errorf("%w: peer %v", ErrOption, o.Peer)
	case !isDate(o.Time):
		return fmt.Errorf("%w: time %v", ErrOption, o.Time)
	case o.Style == policy.ForwardSRS && o.Secret == "":
		return fmt.Errorf("%w: no secret, which srs needs", ErrOption)
	}
	return nil
}

// isWord reports whether s can stand as a host name or an id.
func isWord(s string) bool {
	for _, c := range s {
		if !strings.ContainsRune(".-_", c) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// envelope returns the new reverse-path.
func (o *AutoOptions) envelope() (string, error) {
	from := ""
	user, domain := cut(o.Original)
	local, target := cut(o.To)
	switch o.Style {
	case policy.ForwardPlain:
		return o.MailFrom, nil
	case policy.ForwardResent:
		return o.Original, nil
	case policy.ForwardSRS:
		from = srs(o.MailFrom, domain, o.Secret, o.Time)
	case policy.ForwardCAF:
		from = user + "+caf_=" + local + "=" + target + "@" + domain
	default:
		return "", fmt.Errorf("%w: style %q is none of plain, srs, caf, resent", ErrOption, o.Style)
	}
	switch {
	case o.MailFrom == "":
		return "", nil // What is sent for a bounce must not cause another (RFC 5321 4.5.5).
	case strings.ContainsRune(from, '"'):
		return "", fmt.Errorf("%w: a quoted local part, which %s cannot carry", ErrOption, o.Style)
	case len(from) > maxAddress:
		return "", fmt.Errorf("%w: the rewritten envelope has more than %d octets", ErrOption, maxAddress)
	}
	return from, nil
}

// fold marks in a field where a line ends and a tab follows.
const fold = "\x00"

// fields returns the fields that are put before the original, top first.
func (o *AutoOptions) fields(s seed) []string {
	id := o.ID
	if id == "" {
		id = strings.ToUpper(s.hex("id", 11))
	}
	switch o.Style {
	case policy.ForwardPlain:
		return []string{"X-Original-To: " + o.Original, "Delivered-To: " + o.Original, o.received(" (Postfix)", id)}
	case policy.ForwardCAF:
		return o.caf(s, id)
	case policy.ForwardResent:
		return []string{
			"Resent-Date: " + o.Time.Format(dateFormat),
			"Resent-From: " + o.Original,
			"Resent-To: " + o.To,
			"Resent-Message-ID: <" + s.uuid("resent") + "@" + domainOf(o.Original) + ">",
			o.received("", id),
		}
	}
	return []string{o.received(" (Postfix)", id)}
}

// received writes the field of the mail's arrival at the forwarder (RFC 5321 4.4).
func (o *AutoOptions) received(software, id string) string {
	literal := o.Peer.Unmap().String()
	if o.Peer.Unmap().Is6() {
		literal = "IPv6:" + literal
	}
	return "Received: from [" + literal + "] (unknown [" + literal + "])" + fold +
		"by " + o.Host + software + " with ESMTP id " + id + fold +
		"for <" + o.Original + ">;" + fold + o.date()
}

func (o *AutoOptions) date() string { return o.Time.Format(dateFormat + " (UTC)") }

// caf writes what Gmail puts before a mail that it passes on: the way out over
// that of the first delivery (gmail-inbound.md 4.a). Its addresses within Google
// are of the block for documentation.
func (o *AutoOptions) caf(s seed, id string) []string {
	node := func(use string) string {
		h := s.hex(use, 8)
		return "by 2001:db8:" + h[:4] + ":: with SMTP id " + s.letters(use, 1)
	}
	hop := func(use string) string { // Once more within Google.
		return "X-Received: " + node(use) + s.digits(use, 2) + "mr" + s.digits(use+" ", 7) + s.letters(use+" ", 3) +
			"." + s.digits(use+".", 3) + "." + strconv.FormatInt(o.Time.UnixMilli(), 10) + ";" + fold + o.date()
	}
	returnPath := "Return-Path: <" + o.MailFrom + ">"
	return []string{
		hop("out"),
		"X-Forwarded-To: " + o.To,
		"X-Forwarded-For: " + o.Original + " " + o.To,
		"Delivered-To: " + o.Original,
		"Received: " + node("in") + s.digits("in", 3) + "csp" + s.digits("in ", 7) + s.letters("in ", 3) + ";" + fold + o.date(),
		hop("first"),
		returnPath,
		o.received("", id),
	}
}

// domainOf returns the domain of an address as it may stand anywhere. A domain
// literal is no name.
func domainOf(addr string) string {
	if _, domain := cut(addr); isWord(domain) {
		return domain
	}
	return "literal.invalid"
}
