package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Phase is where in an SMTP session a reply is given.
type Phase string

// The phases.
const (
	PhaseConnect Phase = "connect" // Instead of the greeting.
	PhaseHello   Phase = "hello"   // At EHLO or HELO.
	PhaseMail    Phase = "mail"    // At MAIL.
	PhaseRcpt    Phase = "rcpt"    // At RCPT: for one recipient.
	PhaseData    Phase = "data"    // At the end of the message: for all recipients.
)

// Phases returns the phases in the order of a session.
func Phases() []Phase { return []Phase{PhaseConnect, PhaseHello, PhaseMail, PhaseRcpt, PhaseData} }

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
	// Check is the check that gives it. AtRcpt says that RCPT gives it by itself,
	// because there is no account to judge a message for. Without either only an
	// order does (Evidence.Order).
	Check  CheckID `json:"check,omitempty"`
	AtRcpt bool    `json:"atRcpt,omitempty"`
}

// Catalogue returns the replies, in the order of a session.
func Catalogue() []CataloguedReply {
	return slices.Concat(sessionReplies, recipientReplies, rateReplies, senderReplies, contentReplies)
}

// FindReply returns the reply of an id.
func FindReply(id ReplyID) (CataloguedReply, bool) {
	for _, table := range [...][]CataloguedReply{sessionReplies, recipientReplies, rateReplies, senderReplies, contentReplies} {
		for i := range table {
			if table[i].ID == id {
				return table[i], true
			}
		}
	}
	return CataloguedReply{}, false
}

// Given reports whether a reply can be given in a phase.
func (c CataloguedReply) Given(p Phase) bool { return slices.Contains(c.Phases, p) }

// ReplyFor is the reply of an id about a message, or about as much of a session
// as the evidence has. What follows are values beyond those of the evidence,
// each after its name. A value that is not known is "unknown"; the reply of an
// unknown id is a temporary refusal that says so.
func ReplyFor(id ReplyID, e *Evidence, more ...string) Reply {
	c, ok := FindReply(id)
	if !ok {
		return Reply{Code: 451, Enhanced: "4.3.0", Lines: []string{"There is no reply " + string(id) + "."}}
	}
	value := func(name string) string {
		for i := 0; i+1 < len(more); i += 2 {
			if more[i] == name {
				return more[i+1]
			}
		}
		return e.replyValue(name)
	}
	r := Reply{Code: c.Code, Enhanced: c.Enhanced, Lines: make([]string, len(c.Text))}
	for i, line := range c.Text {
		r.Lines[i] = fill(line, value)
	}
	return r
}

// maxReplyValue bounds what a reply quotes: a line of it has 512 octets at most
// (RFC 5321 4.5.3.1.5).
const maxReplyValue = 255

// fill puts values in the place of the names in braces. It looks at each place
// once, so that a value that has braces is a value all the same.
func fill(line string, value func(name string) string) string {
	if !strings.Contains(line, "{") {
		return line
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(line, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		v := value(name)
		if v == "" {
			v = "unknown"
		}
		b.WriteString(strings.ToValidUTF8(v[:min(len(v), maxReplyValue)], "?"))
		line = after
	}
}

// replyValue is what a name in braces stands for.
func (e *Evidence) replyValue(name string) string {
	switch name {
	case "peer":
		return peerText(e.Arrival.Peer)
	case "netblock":
		if p := Netblock(e.Arrival.Peer); p.IsValid() {
			return p.String()
		}
	case "rcpt":
		return domainOf(e.Arrival.Rcpt)
	case "from":
		return e.Auth.DMARC.Domain
	case "spf":
		return e.Auth.SPF.Domain
	case "dkim":
		return firstSigner(e.Auth)
	case "spf-result":
		return passText(e.Auth.SPF.Result == AuthPass)
	case "dkim-result":
		return passText(e.Auth.dkimPasses())
	// What a check says where it gives the reply, for one that is ordered.
	case "why":
		return "the header is malformed"
	case "what":
		return "the size of the header"
	case "got":
		return strconv.Itoa(e.Header.HeaderSize)
	case "limit":
		return strconv.Itoa(maxHeaderSize)
	}
	return ""
}

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

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// peerText is the client's address as replies show it.
func peerText(peer netip.Addr) string {
	if !peer.IsValid() {
		return ""
	}
	return peer.String()
}

// ReplyAccepted is the answer to an accepted message: two spaces, then Unix
// seconds (gmail-inbound.md 1.1). The session id and "gsmtp" that end every
// reply are added where it is sent.
func ReplyAccepted(at time.Time) Reply {
	return Reply{Code: 250, Enhanced: "2.0.0", Lines: []string{"OK  " + strconv.FormatInt(at.Unix(), 10)}}
}
