package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Phase is where in an SMTP session a reply is given.
type Phase string

// The phases, in the order of a session.
const (
	PhaseConnect Phase = "connect" // Instead of the greeting.
	PhaseHello   Phase = "hello"   // At EHLO or HELO.
	PhaseMail    Phase = "mail"    // At MAIL.
	PhaseRcpt    Phase = "rcpt"    // At RCPT: for one recipient.
	PhaseData    Phase = "data"    // At the end of the message: for all recipients.
)

// ReplyID names a reply of the catalogue. It is as stable as a reason.
type ReplyID string

// CataloguedReply is a reply of the provider that depends on who sends what to
// whom (gmail-inbound.md 1.4). Those of the protocol itself are the SMTP
// server's.
type CataloguedReply struct {
	ID       ReplyID `json:"id"`
	Code     int     `json:"code"`
	Enhanced string  `json:"enhanced"`
	// Phases are those in which it can be given; the first is the usual one.
	Phases []Phase `json:"phases"`
	// Text is its lines, without codes. A word in braces stands for a value of
	// the session, such as {peer} or {from}: see ReplyFor.
	Text []string `json:"text"`
	Doc  string   `json:"doc"` // When it is given; for people.
	// Check is the check, or the question to the provider, that gives it;
	// empty if only an order does (see Evidence.Order).
	Check CheckID `json:"check,omitempty"`
}

// Catalogue returns the replies, in the order of a session.
func Catalogue() []CataloguedReply {
	return slices.Concat(sessionReplies, recipientReplies, rateReplies(), senderReplies(), contentReplies)
}

// FindReply returns the reply of an id.
func FindReply(id ReplyID) (CataloguedReply, bool) {
	list := Catalogue()
	i := slices.IndexFunc(list, func(c CataloguedReply) bool { return c.ID == id })
	if i < 0 {
		return CataloguedReply{}, false
	}
	return list[i], true
}

// Given reports whether a reply can be given in a phase.
func (c CataloguedReply) Given(p Phase) bool { return slices.Contains(c.Phases, p) }

// ReplyFor is the reply of an id, which must be one of the catalogue's, about a
// message, or about as much of a session as the evidence has. What follows are
// more values, each after its name in braces. A value that is not known is
// "unknown".
func ReplyFor(id ReplyID, e *Evidence, more ...string) Reply {
	c, _ := FindReply(id)
	values := append(more,
		"{peer}", peerText(e.Arrival.Peer), "{netblock}", netblockText(e.Arrival.Peer),
		"{spf}", e.Auth.SPF.Domain, "{from}", e.Auth.DMARC.Domain, "{dkim}", firstSigner(e.Auth),
		"{rcpt}", domainOf(e.Arrival.Rcpt), "{message-id}", e.Header.MessageID,
		"{why}", "the header is malformed", "{what}", "the size of the header", "{got}", strconv.Itoa(e.Header.HeaderSize), "{limit}", strconv.Itoa(maxHeaderSize),
		"{spf-result}", passText(e.Auth.SPF.Result == AuthPass), "{dkim-result}", passText(e.Auth.dkimPasses()),
	)
	for i := 1; i < len(values); i += 2 {
		if values[i] == "" {
			values[i] = "unknown"
		}
		values[i] = values[i][:min(len(values[i]), maxReplyValue)]
	}
	// Of two values of one name the first counts. One pass, so that a value that has braces is a value all the same.
	fill := strings.NewReplacer(values...)
	r := Reply{Code: c.Code, Enhanced: c.Enhanced, Lines: make([]string, len(c.Text))}
	for i, line := range c.Text {
		r.Lines[i] = fill.Replace(line)
	}
	return r
}

// maxReplyValue bounds what a reply quotes: a line of it has 512 octets at most
// (RFC 5321 4.5.3.1.5).
const maxReplyValue = 255

// catalogued is the reply of an id about the message of s.
func (s subject) catalogued(id ReplyID, more ...string) Reply { return ReplyFor(id, s.e, more...) }

func passText(ok bool) string {
	if ok {
		return "pass"
	}
	return "did not pass"
}

// firstSigner is the domain of the first signature that passes, or else of the
// first.
func firstSigner(a Authentication) string {
	first := ""
	for _, d := range a.DKIM {
		if d.Result == AuthPass {
			return d.Domain
		}
		if first == "" {
			first = d.Domain
		}
	}
	return first
}

// Netblock is the network by which mail from an address is counted: 24 bits of
// an IPv4 address, 64 of an IPv6 one. What the real provider takes is not known.
func Netblock(a netip.Addr) netip.Prefix {
	bits := 24
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func netblockText(a netip.Addr) string {
	if p := Netblock(a); p.IsValid() {
		return p.String()
	}
	return ""
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }
