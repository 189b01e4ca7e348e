package smtpserver

import (
	"strconv"
	"strings"
)

// model is a second opinion on the dialogue: it has all that a client says, at
// once, and tells which replies and which messages must come of it. Addresses,
// parameters and what a line is are left to the functions that have tests of
// their own.
type model struct {
	in     string // What the client has still to say.
	tls    bool   // Under TLS; else there is no STARTTLS.
	strict bool   // Bare line ends, and what comes with the first EHLO, are refused.
	// ahead says that the octets not yet run have been read, where the rest of
	// the input has this length or is shorter; -1: never.
	ahead int

	greeted, open, chunked bool
	utf8                   bool
	from                   string
	rcpts                  []string
	body                   string
	faults, strange, idle  int

	replies []string // Code and enhanced code.
	mails   []string // As mailText has them.
	over    bool
}

const (
	modelMaxSize  = 4 << 10
	modelMaxRcpts = 3
)

// mailText is all of a message that matters here.
func mailText(from string, rcpts []string, raw string) string {
	return "<" + from + "> <" + strings.Join(rcpts, "> <") + "> " + strconv.Quote(raw)
}

// refusedByModel says whom the Backend does not like.
func refusedByModel(s string) bool { return strings.HasPrefix(s, "no") }

func (m *model) say(reply string) { m.replies = append(m.replies, reply) }
func (m *model) end(reply string) { m.say(reply); m.over = true }

func (m *model) fault(reply string) {
	if m.faults++; m.faults > maxFaults {
		m.end("502 5.5.1")
		return
	}
	m.say(reply)
}

func (m *model) reset() { m.open, m.chunked, m.from, m.rcpts, m.body = false, false, "", nil, "" }

// pipelined says whether more has been read.
func (m *model) pipelined() bool { return m.in != "" && len(m.in) <= m.ahead }

func (m *model) run() {
	for !m.over {
		i := strings.IndexByte(m.in, '\n')
		if i < 0 {
			return
		}
		line := m.in[:i+1]
		m.in = m.in[i+1:]
		if !m.chunked {
			if m.idle++; m.idle > maxIdle+modelMaxRcpts {
				m.end("421 4.7.0")
				return
			}
		}
		if !m.greeted {
			if m.strange++; m.strange > maxStrange {
				m.end("554 5.7.0")
				return
			}
		}
		m.line(line)
	}
}

func (m *model) line(line string) {
	text, crlf := strings.CutSuffix(line, "\r\n")
	long := len(line) > maxCommandLine
	control := strings.ContainsAny(text, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f")
	verb, arg, _ := strings.Cut(text, " ")
	verb = asciiUpper(verb)
	switch {
	case !crlf, (long || control) && strings.HasPrefix(verb, "BDAT"):
		m.end("555 5.5.2")
	case long:
		m.fault("500 5.5.2")
	case control:
		m.fault("555 5.5.2")
	default:
		m.command(verb, strings.TrimRight(arg, " "))
	}
}

func (m *model) command(verb, arg string) {
	switch verb {
	case "EHLO", "HELO":
		m.hello(arg)
	case "MAIL":
		m.mail(arg)
	case "RCPT":
		m.rcpt(arg)
	case "BDAT":
		m.bdat(arg)
	case "VRFY":
		m.say("252 2.1.5")
	case "NOOP":
		m.say("250 2.0.0")
	case "HELP":
		m.say("214 2.0.0")
	case "STARTTLS":
		switch {
		case !m.tls:
			m.fault("502 5.5.1")
		case m.pipelined():
			m.end("523 5.7.10")
		case arg != "":
			m.say("501 5.7.11")
		default:
			m.say("503 5.5.1")
		}
	case "PROXY":
		m.end("502 5.5.1")
	case "DATA", "RSET", "QUIT":
		switch {
		case arg != "":
			m.fault("555 5.5.2")
		case verb == "DATA":
			m.data()
		case verb == "RSET":
			m.reset()
			m.say("250 2.1.5")
		default:
			m.end("221 2.0.0")
		}
	default:
		m.fault("502 5.5.1")
	}
}

func (m *model) hello(arg string) {
	valid := arg != "" && len(arg) <= 255
	for i := range len(arg) {
		valid = valid && arg[i] > ' ' && arg[i] <= '~'
	}
	switch {
	case !valid:
		m.end("501 5.5.4")
	case m.strict && !m.greeted && m.pipelined():
		m.end("451 4.5.0")
	case refusedByModel(arg):
		m.say("450 4.7.0")
	default:
		m.reset()
		m.greeted = true
		m.say("250")
	}
}

func (m *model) mail(arg string) {
	if !m.greeted || m.open {
		m.say("503 5.5.1")
		return
	}
	path, rest, ok := cutCommandPath(arg, "FROM:")
	params, paramsOK := parseMailParams(rest)
	if !ok || !paramsOK {
		m.fault("555 5.5.2")
		return
	}
	switch addr, ok := reversePath(path, params.utf8); {
	case !ok:
		m.say("553 5.1.7")
	case params.size > modelMaxSize:
		m.say("552 5.3.4")
	case refusedByModel(addr):
		m.say("550 5.7.1")
	default:
		m.open, m.from = true, addr
		m.utf8 = params.utf8
		m.say("250 2.1.0")
	}
}

func (m *model) rcpt(arg string) {
	if !m.greeted || !m.open || m.chunked {
		m.say("503 5.5.1")
		return
	}
	path, rest, ok := cutCommandPath(arg, "TO:")
	if !ok || rest != "" {
		m.fault("555 5.5.2")
		return
	}
	switch addr, ok := forwardPath(path, m.utf8); {
	case !ok:
		m.say("553 5.1.3")
	case len(m.rcpts) >= modelMaxRcpts:
		m.say("452 4.5.3")
	case refusedByModel(addr):
		m.say("550 5.1.1")
	default:
		m.rcpts = append(m.rcpts, addr)
		m.say("250 2.1.5")
	}
}

func (m *model) data() {
	if !m.greeted || !m.open || len(m.rcpts) == 0 || m.chunked {
		m.say("503 5.5.1")
		return
	}
	m.say("354")
	raw, rest, ok := decodeDots(m.in)
	if !ok {
		m.over = true // The client has gone in the middle of it.
		return
	}
	m.in, m.body = rest, raw
	m.deliver()
}

func (m *model) deliver() {
	switch {
	case len(m.body) > modelMaxSize:
		m.say("552 5.3.4")
	case m.strict && strings.ContainsAny(strings.ReplaceAll(m.body, "\r\n", ""), "\r\n"):
		m.say("554 5.6.0")
	default:
		m.mails = append(m.mails, mailText(m.from, m.rcpts, m.body))
		m.say("250 2.0.0")
	}
	m.idle = 0
	m.reset()
}

func (m *model) bdat(arg string) {
	digits, last := strings.CutSuffix(asciiUpper(arg), " LAST")
	size, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strings.Trim(digits, "0123456789") != "" {
		m.end("555 5.5.2")
		return
	}
	wanted := m.greeted && m.open && len(m.rcpts) > 0
	fits := size <= int64(modelMaxSize-len(m.body))
	switch {
	case (!wanted || !fits) && size > modelMaxSize+maxDropped:
		m.end("552 5.3.4")
		return
	case size > int64(len(m.in)):
		m.over = true
		return
	}
	chunk := m.in[:size]
	m.in = m.in[size:]
	switch {
	case !wanted:
		m.say("503 5.5.1")
	case !fits:
		m.reset()
		m.say("552 5.3.4")
	case !last:
		m.chunked = true
		m.body += chunk
		m.say("250 2.0.0")
	default:
		m.body += chunk
		m.deliver()
	}
}
