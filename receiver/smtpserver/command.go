package smtpserver

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"
)

const (
	// maxCommandLine is the longest command line, with its CRLF. RFC 5321
	// 4.5.3.1.4 asks for 512 octets, and extensions for some dozens more each;
	// this is go-smtp's limit.
	maxCommandLine = 2000
	// maxDroppedLine is how much of a longer one is read to find its end.
	maxDroppedLine = 1 << 20
	// maxFaults is how many commands that are no commands a session may send.
	// Gmail's number is not known.
	maxFaults = 10
	// maxStrange is how many commands a session may send before it has said who
	// it is, since its beginning or STARTTLS. Nobody can authenticate to an MX; but
	// Gmail's "unauthenticated commands" are counted at the phase of EHLO
	// (gmail-inbound.md 1.4). Gmail's number is not known.
	maxStrange = 100
	// maxIdle is how many commands a session may send without a message, beyond
	// the RCPTs of a transaction, of which there may be Options.MaxRecipients.
	// It lasts for hours of keep-alives. Gmail's number is not known.
	maxIdle = 1000
)

var errEndlessLine = errors.New("smtpserver: command line without end")

// next reads a command. It returns the line go-smtp is to carry out, or "" if
// the command is answered, or the session over.
func (w *wire) next() string {
	if !w.inMessage { // Between chunks the message's limits hold.
		w.due = time.Time{}
	}
	line, long, err := w.readLine()
	if err != nil {
		w.verb = ""
		w.lost(err)
		return ""
	}
	if r := w.tooMany(); r != nil {
		w.hangUp(*r)
		return ""
	}
	text, crlf := strings.CutSuffix(string(line), "\r\n")
	verb, arg, _ := strings.Cut(text, " ")
	w.verb = asciiUpper(verb)
	control := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
	switch {
	case !crlf:
		// A line that another server would not see end here. What follows
		// could be smuggled, so it must not run.
		w.hangUp(replySyntaxBye)
	case (long || control) && strings.HasPrefix(w.verb, "BDAT"):
		w.hangUp(replySyntaxBye) // Octets may follow, nobody knows how many.
	case long:
		w.fault(replyLineTooLong)
	case control:
		w.fault(replySyntax)
	default:
		return w.command(strings.TrimRight(arg, " "))
	}
	return ""
}

// tooMany counts a command, and says how the session ends if it is one too many.
func (w *wire) tooMany() *Reply {
	if !w.inMessage {
		if w.idle++; w.idle > maxIdle+w.server.opts.MaxRecipients {
			return &replyExpired
		}
	}
	if !w.greeted {
		if w.strange++; w.strange > maxStrange {
			return &replyStranger
		}
	}
	return nil
}

// readLine reads a line with its line end; it is valid until the next read. Of
// a line that does not fit the buffer only the beginning and the line end are
// returned. long says that the line is longer than maxCommandLine.
func (w *wire) readLine() (line []byte, long bool, err error) {
	line, err = w.in.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, len(line) > maxCommandLine, err
	}
	head := bytes.Clone(line[:maxCommandLine])
	afterCR := false
	for dropped := 0; err == bufio.ErrBufferFull; {
		if dropped += len(line); dropped > maxDroppedLine {
			return nil, true, errEndlessLine
		}
		afterCR = line[len(line)-1] == '\r'
		line, err = w.in.ReadSlice('\n')
	}
	if bytes.HasSuffix(line, []byte("\r\n")) || afterCR && len(line) == 1 {
		return append(head, "\r\n"...), true, err
	}
	return append(bytes.TrimRight(head, "\r"), '\n'), true, err
}

// fault answers a command that is none. Too many of them end the session.
func (w *wire) fault(r Reply) {
	if w.faults++; w.faults > maxFaults {
		w.hangUp(replyTooManyFaults)
		return
	}
	w.reply(r)
}

// command deals with the command w.verb. The lines that go-smtp gets are ours,
// in the form it knows, whatever the client wrote.
func (w *wire) command(arg string) string {
	switch w.verb {
	case "EHLO", "HELO":
		return w.hello(arg)
	case "MAIL":
		return w.mail(arg)
	case "RCPT":
		return w.rcpt(arg)
	case "BDAT":
		return w.bdat(arg)
	case "VRFY":
		w.reply(replyVerify)
		return ""
	case "NOOP":
		w.reply(replyOK)
		return ""
	case "HELP":
		w.reply(replyHelp)
		return ""
	case "STARTTLS":
		w.startTLS(arg)
		return ""
	case "EXPN", "AUTH", "SEND", "SOML", "SAML", "TURN", "ETRN":
		w.fault(replyUnimplemented)
		return ""
	case "PROXY":
		// A header of the PROXY protocol from someone who may not send one.
		w.hangUp(replyUnrecognized)
		return ""
	case "DATA", "RSET", "QUIT":
	default:
		w.fault(replyUnrecognized)
		return ""
	}
	if arg != "" {
		w.fault(replySyntax)
		return ""
	}
	switch w.verb {
	case "RSET":
		return w.feed("RSET\r\n", 250, replyReset)
	case "QUIT":
		return w.feed("QUIT\r\n", 221, replyGoodbye)
	}
	return w.data()
}

// hello deals with EHLO and HELO (RFC 5321 4.1.1.1). The argument is not
// compared with anything; it only has to be a single printable word.
func (w *wire) hello(arg string) string {
	switch {
	case arg == "":
		w.hangUp(replyHeloEmpty)
		return ""
	case len(arg) > maxDomain || strings.ContainsFunc(arg, func(r rune) bool { return r <= ' ' || r > '~' }):
		w.hangUp(replyHeloInvalid(arg))
		return ""
	}
	if r := w.alone(); r.class() != 2 {
		w.hangUp(r)
		return ""
	}
	helo, esmtp := w.env.HELO, w.env.ESMTP
	w.env.HELO, w.env.ESMTP = arg, w.verb == "EHLO"
	if r := w.admit(StageHello); r.class() != 2 {
		w.env.HELO, w.env.ESMTP = helo, esmtp // RFC 5321 4.1.4.
		w.answer(r)
		return ""
	}
	w.greeted = true
	line := w.feed("HELO client\r\n", 250, w.helloReply())
	w.pending.plain = true
	return line
}

// alone says whether EHLO may be followed by what has arrived behind it, before
// the client could know what we offer; 2xx is yes. A client must let EHLO end a
// group of commands (RFC 2920 3.1). A transcript of Gmail's MX has the refusal
// (github.com/deer-hunt/ipsurv, docs/ipsend-cmd). A later EHLO may be in their
// midst.
func (w *wire) alone() (r Reply) {
	defer w.recoverTo(&r)
	if w.greeted || w.in.Buffered() == 0 {
		return replyOK
	}
	switch treatment := w.server.opts.PipelinedHello(); treatment {
	case PipelinedHelloAccept:
		return replyOK
	case PipelinedHelloReject:
		return replyViolation
	default:
		w.log.Error("unknown treatment of commands behind EHLO", "session", w.env.Session, "treatment", treatment)
		return replySystemProblem
	}
}

// helloReply is the one answer without session id (gmail-inbound.md 1.1).
func (w *wire) helloReply() Reply {
	o := &w.server.opts
	if !w.env.ESMTP {
		return replyHELO(o.Hostname)
	}
	return replyEHLO(o.Hostname, w.env.Peer, o.MaxSize, o.TLSConfig != nil && w.env.TLS == nil)
}

// mail deals with MAIL (RFC 5321 4.1.1.2). A second one leaves the open
// transaction as it is.
func (w *wire) mail(arg string) string {
	switch {
	case !w.greeted:
		w.reply(replyHelloFirst)
		return ""
	case w.open: // Perhaps with chunks already.
		w.reply(replyBadSequence)
		return ""
	}
	path, rest, ok := cutCommandPath(arg, "FROM:")
	params, paramsOK := parseMailParams(rest)
	if !ok || !paramsOK {
		w.fault(replySyntax)
		return ""
	}
	addr, ok := reversePath(path, params.utf8)
	switch {
	case !ok:
		w.reply(replyBadSender(path))
		return ""
	case params.size > w.server.opts.MaxSize:
		w.reply(replyTooLarge(params.size, w.server.opts.MaxSize))
		return ""
	}
	w.draft = draft{addr: addr, mailParams: params}
	return w.feed("MAIL FROM:<>\r\n", 250, replySenderOK)
}

// rcpt deals with RCPT (RFC 5321 4.1.1.3).
func (w *wire) rcpt(arg string) string {
	switch {
	case !w.greeted:
		w.reply(replyHelloFirst)
		return ""
	case !w.open:
		w.reply(replyMailFirst)
		return ""
	case w.chunked:
		w.reply(replyBadSequence)
		return ""
	}
	path, rest, ok := cutCommandPath(arg, "TO:")
	if !ok || rest != "" { // No extension we offer has a parameter for RCPT.
		w.fault(replySyntax)
		return ""
	}
	addr, ok := forwardPath(path, w.env.UTF8)
	switch {
	case !ok:
		w.reply(replyBadRcpt(path))
		return ""
	case len(w.env.Rcpts) >= w.server.opts.MaxRecipients:
		w.reply(replyTooManyRcpts)
		return ""
	}
	w.draft = draft{addr: addr}
	return w.feed("RCPT TO:<placeholder@client.invalid>\r\n", 250, replyRcptOK)
}

// data deals with DATA (RFC 5321 4.1.1.4) up to the point where session.Data
// reads the message.
func (w *wire) data() string {
	switch refusal := w.outOfOrder(); {
	case refusal != nil:
		w.reply(*refusal)
		return ""
	case w.chunked:
		w.reply(replyNoData)
		return ""
	}
	return w.feed("DATA\r\n", 0, Reply{})
}

// cutCommandPath splits the argument of MAIL or RCPT into path and parameters.
// Spaces after the colon are no RFC's, but many a client's.
func cutCommandPath(arg, keyword string) (path, rest string, ok bool) {
	if len(arg) < len(keyword) || asciiUpper(arg[:len(keyword)]) != keyword {
		return "", "", false
	}
	path, rest, ok = cutPath(strings.TrimLeft(arg[len(keyword):], " "))
	return path, rest, ok && (rest == "" || rest[0] == ' ')
}

// mailParams are the parameters of MAIL.
type mailParams struct {
	size int64
	body string
	utf8 bool
}

// parseMailParams parses the parameters of the extensions we offer: SIZE (RFC
// 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), each at most once.
func parseMailParams(s string) (p mailParams, ok bool) {
	var seenSize bool
	for field := range strings.SplitSeq(s, " ") {
		if field == "" {
			continue
		}
		key, value, hasValue := strings.Cut(field, "=")
		switch asciiUpper(key) {
		case "SIZE":
			// A number beyond 64 bits is a size too, and too large.
			n, err := strconv.ParseInt(value, 10, 64)
			if seenSize || !isDigits(value) || err != nil && !errors.Is(err, strconv.ErrRange) {
				return p, false
			}
			seenSize, p.size = true, n
		case "BODY":
			body := asciiUpper(value)
			if p.body != "" || body != "7BIT" && body != "8BITMIME" {
				return p, false
			}
			p.body = body
		case "SMTPUTF8":
			if p.utf8 || hasValue {
				return p, false
			}
			p.utf8 = true
		default:
			return p, false
		}
	}
	return p, true
}
